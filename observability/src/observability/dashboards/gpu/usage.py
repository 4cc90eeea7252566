"""Rows of the GPU dashboard on load, power, and the processes that use the GPU."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import RED, YELLOW, Key, Panel, Query, Thresholds, graph, table
from observability.promql import Scope
from observability.queries import extremes, gpu
from observability.variables import Variables

_NO_GPU = "gpu-exporter not scraped"
_NO_MIG = "No partitioned GPU"


def load(variables: Variables) -> tuple[Panel, ...]:
    """Utilisation, memory, clocks."""
    cell = variables.per_cell
    return (_utilisation(cell), _memory(cell), _clocks(cell))


def power(variables: Variables) -> tuple[Panel, ...]:
    """Power, temperature, and energy per token."""
    cell = variables.per_cell
    return (
        graph(
            "Power usage (% of limit)",
            "How close is the GPU to its power limit?",
            "relative to the enforced limit, averaged by the driver over about a second. Near 100 % under load is "
            "normal for an L4, and lowers its clocks.",
            "percentunit",
            8,
            (Query(gpu.power_share(cell), "{{vm}} GPU {{gpu}}"),),
            no_value=_NO_GPU,
            maximum=1.2,
            step_seconds=gpu.STEP_SECONDS,
        ),
        graph(
            "Temperature",
            "Does the GPU or its memory get too hot?",
            "the highest in each interval; not every card reports its memory's. The GPU itself decides when to "
            "throttle.",
            "celsius",
            8,
            (Query(gpu.temperatures(cell), "{{vm}} GPU {{gpu}}: {{sensor}}"),),
            no_value=_NO_GPU,
            thresholds=Thresholds("text", ((settings.GPU_HOT_CELSIUS, YELLOW),)),
            step_seconds=gpu.STEP_SECONDS,
            action="an L4 has no fan of its own: check the machine's airflow and neighbouring cards.",
        ),
        graph(
            "Energy per output token",
            "How much energy does an output token take, and do larger batches lower it?",
            "all selected GPUs, idle time included, divided by vLLM's output tokens; without the rest of the machine. "
            f"No line for fewer than {settings.MIN_TOKENS_PER_INTERVAL} tokens in an interval.",
            "joule",
            8,
            (Query(gpu.joules_per_token(cell, settings.MIN_TOKENS_PER_INTERVAL), "energy per token"),),
            no_value="Too little traffic to vLLM, or not scraped",
            step_seconds=gpu.COUNTER_STEP_SECONDS,
        ),
    )


def input_and_output(variables: Variables) -> tuple[Panel, ...]:
    """PCIe, and the video engines, which language models leave alone."""
    cell = variables.per_cell
    return (
        graph(
            "PCIe throughput",
            "Does the bus limit the GPU, as while a model is loaded or layers are on the CPU?",
            "the highest sample in each interval; NVML samples 20 ms at each scrape, and what happens between is not "
            "seen.",
            "binBps",
            10,
            (
                Query(gpu.pcie_bytes_per_second(cell, "RX"), "{{vm}} GPU {{gpu}}: received"),
                Query(gpu.pcie_bytes_per_second(cell, "TX"), "{{vm}} GPU {{gpu}}: sent"),
            ),
            no_value="Not reported by this GPU",
            drilldown=links.ENGINE,
            step_seconds=gpu.STEP_SECONDS,
        ),
        graph(
            "PCIe replays",
            "Is the link faulty?",
            "packets that were sent again; a few are normal.",
            "ops",
            7,
            (Query(gpu.pcie_replays(cell), "{{vm}} GPU {{gpu}}"),),
            no_value="Not reported by this GPU",
            step_seconds=gpu.COUNTER_STEP_SECONDS,
            action="many: reseat the card, or move to another machine.",
        ),
        graph(
            "Encoder and decoder utilisation",
            "Does video use the GPU beside the engine?",
            "sampled by the driver, as means. Language models do not use them.",
            "percent",
            7,
            (
                Query(gpu.mean_per_gpu(cell, "ENC_UTIL"), "{{vm}} GPU {{gpu}}: encoder"),
                Query(gpu.mean_per_gpu(cell, "DEC_UTIL"), "{{vm}} GPU {{gpu}}: decoder"),
            ),
            no_value="Not reported by this GPU",
            maximum=100,
            step_seconds=gpu.STEP_SECONDS,
        ),
    )


def instances(variables: Variables) -> tuple[Panel, ...]:
    """The instances of a partitioned GPU (MIG)."""
    interval, now = variables.per_interval, variables.now
    keys = (
        Key("GPU_I_PROFILE", "Profile", width=110),
        Key("GPU_I_ID", "Instance"),
        Key("gpu", "GPU"),
        Key("vm", "VM"),
    )
    return (
        table(
            "MIG instance memory",
            "Which instance of a partitioned GPU is full?",
            "NVML reports memory and processes of an instance, neither its utilisation nor its power.",
            "mbytes",
            12,
            (Query(gpu.instance_memory(now, "USED"), "Used"), Query(gpu.instance_memory(now, "FREE"), "Free")),
            no_value=_NO_MIG,
            keys=keys,
            needs="needs-mig",
        ),
        graph(
            "MIG instance memory used",
            "How does the memory of each instance change?",
            "the fullest moment of each interval.",
            "mbytes",
            12,
            (Query(gpu.instance_memory(interval, "USED"), "{{vm}} GPU {{gpu}} {{GPU_I_PROFILE}} {{GPU_I_ID}}"),),
            no_value=_NO_MIG,
            needs="needs-mig",
        ),
    )


def processes(variables: Variables) -> tuple[Panel, ...]:
    """Processes, and the exporter itself."""
    cell, now = variables.per_cell, variables.now
    return (
        table(
            "Processes on the GPU",
            "Which processes use GPU memory?",
            "processes in other containers are visible only if the exporter shares the host's pid namespace.",
            "bytes",
            10,
            (Query(gpu.processes(now), "Memory"),),
            no_value="No process visible",
            keys=(Key("name", "Process"), Key("pid", "Pid"), Key("gpu", "GPU"), Key("vm", "VM")),
        ),
        graph(
            "Metrics age",
            "Are the values above current, and does the machine's clock agree with Prometheus'?",
            "at each scrape, by the machine's own clock where node-exporter reports it. Rising: the GPU cannot be "
            "read, and its series are absent. Clock skew below 0: the machine's clock is behind.",
            "s",
            7,
            (
                Query(gpu.data_age(cell), "{{vm}} age"),
                Query(gpu.clock_skew(cell), "{{vm}} clock skew", dashed=True),
            ),
            no_value="gpu-exporter not scraped, or a recording",
            minimum=None,
            soft_max=10,
            thresholds=Thresholds("text", ((60, RED),)),
            step_seconds=gpu.STEP_SECONDS,
        ),
        graph(
            "Collection duration",
            "How long does reading the GPUs take?",
            "the longest in each interval. One that hangs shows in Metrics age.",
            "s",
            7,
            (Query(gpu.collect_seconds(cell), "{{vm}}"),),
            no_value=_NO_GPU,
            step_seconds=gpu.STEP_SECONDS,
        ),
    )


def _utilisation(cell: Scope) -> Panel:
    return graph(
        "Utilisation of GPU and memory",
        "How busy is the GPU, and is it limited by compute or by memory?",
        "shares of time in which anything ran, sampled by the driver, as means: 100 % is not full load. Decoding is "
        "memory-bound.",
        "percent",
        8,
        (
            Query(gpu.mean_per_gpu(cell, "GPU_UTIL"), "{{vm}} GPU {{gpu}}: compute"),
            Query(gpu.mean_per_gpu(cell, "MEM_COPY_UTIL"), "{{vm}} GPU {{gpu}}: memory"),
        ),
        no_value=_NO_GPU,
        maximum=100,
        drilldown=links.ENGINE,
        step_seconds=gpu.STEP_SECONDS,
    )


def _memory(cell: Scope) -> Panel:
    return graph(
        "GPU memory",
        "How much GPU memory is free?",
        "vLLM reserves its share at start, whatever the load; vLLM KV cache usage shows how much of it is used.",
        "mbytes",
        8,
        tuple(
            Query(extremes.gpu_memory(cell, kind), f"{{{{vm}}}} GPU {{{{gpu}}}} {kind.lower()}")
            for kind in ("USED", "RESERVED", "FREE")
        ),
        no_value=_NO_GPU,
        stacked=True,
        colours=palette.MEMORY,
        step_seconds=extremes.MACHINE_STEP_SECONDS,
    )


def _clocks(cell: Scope) -> Panel:
    return graph(
        "Clocks",
        "Does the GPU run at full clock speed?",
        "an idle GPU lowers its clocks: low is a problem only under load.",
        "hertz",
        8,
        (
            Query(gpu.hertz(cell, "SM"), "{{vm}} GPU {{gpu}}: SM"),
            Query(gpu.hertz(cell, "MEM"), "{{vm}} GPU {{gpu}}: memory"),
        ),
        no_value=_NO_GPU,
        step_seconds=gpu.STEP_SECONDS,
    )
