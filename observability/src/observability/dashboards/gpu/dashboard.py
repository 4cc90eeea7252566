"""GPU: is it used, does it run hot or slow, is it faulty?"""

from observability import links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards.gpu import health, usage
from observability.panel import GREEN, RED, YELLOW, Key, Panel, Query, Thresholds, stat, table
from observability.queries import gpu, stack
from observability.variables import Variables

VARIABLES = Variables("vm", "gpu")
_FULL_RANGE, _NOW = VARIABLES.full_range, VARIABLES.now


_NO_GPU = "No GPU in this stack"


def dashboard() -> Dashboard:
    """Load, power and heat, faults, and the exporter itself."""
    return Dashboard(
        links.GPU,
        links.TITLES[links.GPU],
        "Is the GPU used, does it run hot or slow, is it faulty? And how much energy does a token take?",
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
            "Are all expected GPUs visible?",
            "the expected number is GPU_EXPORTER_EXPECTED, or the most that were ever visible.",
            "short",
            gpu.missing(_NOW),
            Thresholds(GREEN, ((1, RED),)),
            no_value=_NO_GPU,
            decimals=0,
            action="run nvidia-smi on the VM. After `systemctl daemon-reload` a container loses its GPU: recreate it.",
        ),
        stat(
            "Utilisation",
            "How busy is the busiest GPU?",
            "the share of time in which anything ran: 100 % can be one small kernel. Power shows the actual load.",
            "percent",
            f"max({gpu.per_gpu(_NOW, 'GPU_UTIL')})",
            no_value=_NO_GPU,
            maximum=100,
            decimals=0,
        ),
        stat(
            "Memory free",
            "How much memory is free on the fullest GPU?",
            "free for the driver, not for requests: vLLM manages its cache within the memory it reserved at start.",
            "mbytes",
            f"min({stack.vram_free(_NOW)})",
            Thresholds.low_is_bad(settings.VRAM_FREE_LIMIT_MIB, settings.VRAM_FREE_GOOD_MIB),
            no_value=_NO_GPU,
            action="lower gpu_memory_utilization in the model's file; check which other process uses memory.",
        ),
        stat(
            "Temperature",
            "How hot is the hottest GPU?",
            "of the core. The GPU itself decides when to throttle: see What slows the clocks.",
            "celsius",
            f"max({gpu.per_gpu(_NOW, 'GPU_TEMP')})",
            Thresholds("text", ((settings.GPU_HOT_CELSIUS, YELLOW),)),
            no_value=_NO_GPU,
            decimals=0,
        ),
        stat(
            "Energy of a token",
            "How much energy does an output token take, in the selected time range?",
            "GPUs only, idle time included; tokens as vLLM counts them, read to the end or not.",
            "joule",
            gpu.joules_per_token(_FULL_RANGE),
            no_value="No traffic to vLLM",
            drilldown=links.COST,
        ),
        stat(
            "Source",
            "Are these values from a GPU or from a recording?",
            "does not show their age: see Age of the data.",
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
        "Which GPU differs from the others? Click a GPU to filter by it.",
        "the value at the latest scrape. A partitioned GPU (MIG) reports no utilisation.",
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
