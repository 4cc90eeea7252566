"""GPU: is it used, does it run hot or slow, is it faulty?"""

from observability import links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards.gpu import health, usage
from observability.panel import (
    GREEN,
    RED,
    YELLOW,
    Key,
    Panel,
    Query,
    Thresholds,
    stat,
    table,
)
from observability.queries import gpu, stack
from observability.variables import Variables

VARIABLES = Variables("vm", "gpu")


_FULL_RANGE, _NOW = VARIABLES.full_range, VARIABLES.now


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
            Row("Use", 9, usage.load(VARIABLES)),
            Row("Power and heat", 8, usage.power(VARIABLES)),
            Row("What holds it back", 8, health.throttling(VARIABLES)),
            Row("Is it ill?", 8, health.faults(VARIABLES)),
            Row("Who uses it, and is this current?", 7, usage.processes(VARIABLES)),
        ),
        VARIABLES,
    )


def _tiles() -> tuple[Panel, ...]:
    return (
        stat(
            "GPUs missing",
            "Are all GPUs there that should be?",
            "how many there should be is set (GPU_EXPORTER_EXPECTED) or the most that were ever seen.",
            "short",
            gpu.missing(_NOW),
            Thresholds(GREEN, ((1, RED),)),
            no_value=_NO_GPU,
            decimals=0,
            action="nvidia-smi on the VM. After `systemctl daemon-reload` a container loses its GPU: create it anew.",
        ),
        stat(
            "Utilisation",
            "Is the busiest GPU at work?",
            "the share of time in which anything ran: 100 % can be one small kernel. Power says how hard it works.",
            "percent",
            f"max({gpu.per_gpu(_NOW, 'GPU_UTIL')})",
            no_value=_NO_GPU,
            maximum=100,
            decimals=0,
        ),
        stat(
            "Memory free",
            "Is there room left on the fullest GPU?",
            "free for the driver, not for requests: vLLM keeps its own cache within what it took at start.",
            "mbytes",
            f"min({stack.vram_free(_NOW)})",
            Thresholds.low_is_bad(settings.VRAM_FREE_LIMIT_MIB, settings.VRAM_FREE_GOOD_MIB),
            no_value=_NO_GPU,
            action="lower gpu_memory_utilization in the model's file; see which other process holds memory.",
        ),
        stat(
            "Temperature",
            "How hot is the hottest GPU?",
            "the core's. From which on it slows down, the GPU decides: see What slows the clocks.",
            "celsius",
            f"max({gpu.per_gpu(_NOW, 'GPU_TEMP')})",
            Thresholds("text", ((settings.GPU_HOT_CELSIUS, YELLOW),)),
            no_value=_NO_GPU,
            decimals=0,
        ),
        stat(
            "Energy of a token",
            "How much energy does a written token take, in the time shown?",
            "of the GPUs alone, idle time included; by vLLM's own count of tokens, read to the end or not.",
            "joule",
            gpu.joules_per_token(_FULL_RANGE),
            no_value="No traffic to vLLM",
            drilldown=links.COST,
        ),
        stat(
            "Source",
            "Are these numbers of a GPU, or played back from a recording?",
            "says nothing of their age: see Age of the data.",
            "none",
            gpu.is_replay(_NOW),
            no_value=_NO_GPU,
            value_mappings=((0, "live", GREEN), (1, "recording", YELLOW)),
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
            Query(gpu.per_gpu(_NOW, "GPU_UTIL", *identity), "Utilisation", "percent"),
            Query(gpu.per_gpu(_NOW, "POWER_USAGE", *identity), "Power", "watt"),
            Query(gpu.per_gpu(_NOW, "ENFORCED_POWER_LIMIT", *identity), "Power limit", "watt"),
            Query(gpu.per_gpu(_NOW, "FB_USED", *identity), "Memory used", "mbytes"),
            Query(gpu.per_gpu(_NOW, "FB_FREE", *identity), "Memory free", "mbytes"),
            Query(gpu.per_gpu(_NOW, "GPU_TEMP", *identity), "Temperature", "celsius"),
            Query(gpu.hertz(_NOW, "SM", *identity), "Clock", "hertz"),
        ),
        no_value=_NO_GPU,
        keys=(Key("gpu", "GPU", links.GPU, "gpu", width=70), Key("modelName", "Model"), Key("vm", "VM")),
    )
