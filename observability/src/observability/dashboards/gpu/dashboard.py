"""GPU: is it used, does it run hot or slow, is it faulty?"""

from observability import links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards.gpu import health, usage
from observability.panel import COUNT, GREEN, GREY, RED, YELLOW, Key, Panel, Query, Thresholds, stat, table
from observability.promql import TOO_LITTLE, or_too_little
from observability.queries import gpu, stack, vllm
from observability.variables import Variables

VARIABLES = Variables("vm", "gpu")
_FULL_RANGE, _NOW = VARIABLES.full_range, VARIABLES.now


_NO_GPU = "gpu-exporter not scraped"


def dashboard() -> Dashboard:
    """Load, power and heat, faults, and the exporter itself."""
    return Dashboard(
        links.GPU,
        links.TITLES[links.GPU],
        "Is the GPU used, does it run hot or slow, is it faulty? And how much energy does a token take?",
        (
            Row("", 4, _tiles()),
            Row("GPUs", 6, (_gpus(),)),
            Row("Utilisation, memory and clocks", 9, usage.load(VARIABLES)),
            Row("Power, temperature and energy", 8, usage.power(VARIABLES)),
            Row("PCIe, encoder and decoder", 8, usage.input_and_output(VARIABLES)),
            Row("Throttling", 8, health.throttling(VARIABLES)),
            Row("XID and memory errors", 8, health.faults(VARIABLES)),
            Row("Processes and metrics age", 7, usage.processes(VARIABLES)),
            Row("MIG instances", 7, usage.instances(VARIABLES), collapsed=True),
        ),
        VARIABLES,
        part="gpu",
    )


def _tiles() -> tuple[Panel, ...]:
    return (
        stat(
            "GPUs missing",
            "Are all expected GPUs visible?",
            "the expected number is GPU_EXPORTER_EXPECTED, or the most that were ever visible.",
            COUNT,
            gpu.missing(_NOW),
            Thresholds(GREEN, ((1, RED),)),
            no_value=_NO_GPU,
            decimals=0,
            action="run nvidia-smi on the VM. After `systemctl daemon-reload` a container loses its GPU: recreate it.",
        ),
        stat(
            "Busiest GPU",
            "How busy is the busiest GPU?",
            "the share of time in which anything ran: 100 % can be one small kernel. Power shows the actual load.",
            "percent",
            f"max({gpu.per_gpu(_NOW, 'GPU_UTIL')})",
            no_value=_NO_GPU,
            maximum=100,
            decimals=0,
        ),
        stat(
            "Free memory",
            "How much memory is free on the fullest GPU?",
            "free for the driver, not for requests: vLLM manages its cache within the memory it reserved at start.",
            "mbytes",
            f"min({stack.vram_free(_NOW)})",
            Thresholds.low_is_bad(settings.VRAM_FREE_LIMIT_MIB, settings.VRAM_FREE_GOOD_MIB),
            no_value=_NO_GPU,
            action="lower gpu_memory_utilization in the model's file; check which other process uses memory.",
        ),
        stat(
            "Hottest GPU",
            "How hot is the hottest GPU?",
            "of the core. The GPU itself decides when to throttle: see Clock throttle reasons.",
            "celsius",
            f"max({gpu.per_gpu(_NOW, 'GPU_TEMP')})",
            Thresholds("text", ((settings.GPU_HOT_CELSIUS, YELLOW),)),
            no_value=_NO_GPU,
            decimals=0,
        ),
        stat(
            "Energy per output token",
            "How much energy does an output token take, in the selected time range?",
            "GPUs only, idle time included; tokens as vLLM counts them, read to the end or not. Not shown for fewer "
            f"than {settings.MIN_TOKENS:,} tokens.",
            "joule",
            or_too_little(gpu.joules_per_token(_FULL_RANGE, settings.MIN_TOKENS), gpu.tokens_of_users(_FULL_RANGE)),
            no_value="No traffic to vLLM",
            value_mappings=((TOO_LITTLE, "Too little traffic", GREY),),
            job=vllm.JOB,
            drilldown=links.COST,
        ),
        stat(
            "Data source",
            "Are these values from a GPU or from a recording?",
            "does not show their age: see Metrics age.",
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
        "the value at the latest scrape, the busiest GPU first. A partitioned GPU (MIG) reports no utilisation.",
        "short",
        24,
        (
            Query(gpu.per_gpu(_NOW, "GPU_UTIL", *identity), "Utilisation", "percent"),
            Query(gpu.per_gpu(_NOW, "POWER_USAGE", *identity), "Power", "watt"),
            Query(gpu.per_gpu(_NOW, "ENFORCED_POWER_LIMIT", *identity), "Power limit", "watt"),
            Query(gpu.per_gpu(_NOW, "FB_USED", *identity), "Memory used", "mbytes"),
            Query(gpu.per_gpu(_NOW, "FB_FREE", *identity), "Free memory", "mbytes"),
            Query(gpu.per_gpu(_NOW, "GPU_TEMP", *identity), "Temperature", "celsius"),
            Query(gpu.hertz(_NOW, "SM", *identity), "Clock", "hertz"),
        ),
        no_value=_NO_GPU,
        keys=(Key("gpu", "GPU", links.GPU, "gpu", width=70), Key("modelName", "Model"), Key("vm", "VM")),
    )
