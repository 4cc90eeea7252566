"""GPU: is it used, does it run hot or slow, is it ill?"""

from observability import links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards import gpu_health, palette
from observability.dashboards.tiles import tile
from observability.panel import GREEN, RED, YELLOW, Key, Panel, Query, Thresholds, graph, table
from observability.queries import gpu, stack
from observability.variables import Choices

CHOICES = Choices("vm", "gpu")
_AT, _PAGE, _NOW = CHOICES.at_each_point, CHOICES.over_the_page, CHOICES.now
_NO_GPU = "No GPU in this stack"


def dashboard() -> Dashboard:
    """Use, power and heat, faults; then the exporter that tells of them."""
    return Dashboard(
        links.GPU,
        links.TITLES[links.GPU],
        "Is the GPU used, does it run hot or slow, is it ill? And what does a token cost in energy?",
        (
            Row("", 4, _tiles()),
            Row("Every GPU", 6, (_gpus(),)),
            Row("Use", 9, (_utilisation(), _memory(), _clocks())),
            Row("Power and heat", 8, gpu_health.power(CHOICES)),
            Row("What holds it back", 8, gpu_health.held_back(CHOICES)),
            Row("Is it ill?", 8, gpu_health.faults(CHOICES)),
            Row("Who uses it, and is this current?", 7, gpu_health.users(CHOICES)),
        ),
        CHOICES,
    )


def _tiles() -> tuple[Panel, ...]:
    return (
        tile(
            "GPUs missing",
            "Are all GPUs there that should be?",
            "how many there should be is set (GPU_EXPORTER_EXPECTED) or the most that were ever seen.",
            "short",
            gpu.missing(_NOW),
            Thresholds(GREEN, ((1, RED),)),
            nothing=_NO_GPU,
            decimals=0,
            then="nvidia-smi on the VM. After `systemctl daemon-reload` a container loses its GPU: create it anew.",
        ),
        tile(
            "Utilisation",
            "Is the busiest GPU at work?",
            "the share of time in which anything ran: 100 % can be one small kernel. Power says how hard it works.",
            "percent",
            f"max({gpu.of_each(_NOW, 'GPU_UTIL')})",
            nothing=_NO_GPU,
            maximum=100,
            decimals=0,
        ),
        tile(
            "Memory free",
            "Is there room left on the fullest GPU?",
            "free for the driver, not for requests: vLLM keeps its own cache within what it took at start.",
            "mbytes",
            f"min({stack.vram_free(_NOW)})",
            Thresholds.low_is_bad(settings.VRAM_FREE_LIMIT_MIB, settings.VRAM_FREE_GOOD_MIB),
            nothing=_NO_GPU,
            then="lower gpu_memory_utilization in the model's file; see which other process holds memory.",
        ),
        tile(
            "Temperature",
            "How hot is the hottest GPU?",
            "the core's. From which on it slows down, the GPU decides: see What slows the clocks.",
            "celsius",
            f"max({gpu.of_each(_NOW, 'GPU_TEMP')})",
            Thresholds("text", ((settings.GPU_HOT_CELSIUS, YELLOW),)),
            nothing=_NO_GPU,
            decimals=0,
        ),
        tile(
            "Energy of a token",
            "How much energy does a written token take, in the time shown?",
            "of the GPUs alone, idle time included; by vLLM's own count of tokens, read to the end or not.",
            "joule",
            gpu.joules_per_token(_PAGE),
            nothing="No traffic to vLLM",
            opens=links.COST,
        ),
        tile(
            "Source",
            "Are these numbers of a GPU, or played back from a recording?",
            "says nothing of their age: see Age of the data.",
            "none",
            gpu.is_recorded(_NOW),
            nothing=_NO_GPU,
            words=((0, "live", GREEN), (1, "recording", YELLOW)),
        ),
    )


def _gpus() -> Panel:
    identity = ("modelName",)
    return table(
        "GPUs",
        "Which GPU differs from the others? A click on it narrows this page down to it.",
        "the value at the latest scrape. A partitioned GPU (MIG) has no utilisation of its own.",
        "short",
        24,
        (
            Query(gpu.of_each(_NOW, "GPU_UTIL", *identity), "Utilisation", "percent"),
            Query(gpu.of_each(_NOW, "POWER_USAGE", *identity), "Power", "watt"),
            Query(gpu.of_each(_NOW, "ENFORCED_POWER_LIMIT", *identity), "Power limit", "watt"),
            Query(gpu.of_each(_NOW, "FB_USED", *identity), "Memory used", "mbytes"),
            Query(gpu.of_each(_NOW, "FB_FREE", *identity), "Memory free", "mbytes"),
            Query(gpu.of_each(_NOW, "GPU_TEMP", *identity), "Temperature", "celsius"),
            Query(gpu.hertz(_NOW, "SM", *identity), "Clock", "hertz"),
        ),
        nothing=_NO_GPU,
        keys=(Key("gpu", "GPU", links.GPU, "gpu", width=70), Key("modelName", "Model"), Key("vm", "VM")),
    )


def _utilisation() -> Panel:
    return graph(
        "Utilisation of GPU and memory",
        "Is the GPU at work, and does it compute or wait for its memory?",
        "shares of time in which anything ran, sampled by the driver: 100 % is not full. Decoding is bound by memory.",
        "percent",
        8,
        (
            Query(gpu.of_each(_AT, "GPU_UTIL"), "{{vm}} GPU {{gpu}}: computing"),
            Query(gpu.of_each(_AT, "MEM_COPY_UTIL"), "{{vm}} GPU {{gpu}}: memory"),
        ),
        nothing=_NO_GPU,
        maximum=100,
        opens=links.ENGINE,
    )


def _memory() -> Panel:
    return graph(
        "GPU memory",
        "How much memory of the GPU is left?",
        "vLLM takes its share at start, whatever the load: what it uses of that is in vLLM KV cache in use.",
        "mbytes",
        8,
        tuple(
            Query(gpu.memory(_AT, kind), f"{{{{vm}}}} GPU {{{{gpu}}}} {kind.lower()}")
            for kind in ("USED", "RESERVED", "FREE")
        ),
        nothing=_NO_GPU,
        stacked=True,
        colours=palette.MEMORY,
    )


def _clocks() -> Panel:
    return graph(
        "Clocks",
        "Does the GPU run as fast as it can?",
        "an idle GPU lowers its clock by itself: low is a fault only under load.",
        "hertz",
        8,
        (
            Query(gpu.hertz(_AT, "SM"), "{{vm}} GPU {{gpu}}: computing"),
            Query(gpu.hertz(_AT, "MEM"), "{{vm}} GPU {{gpu}}: memory"),
        ),
        nothing=_NO_GPU,
    )
