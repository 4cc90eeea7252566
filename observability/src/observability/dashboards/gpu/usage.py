"""Rows of the GPU dashboard on load, power, and the processes that use the GPU."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import RED, YELLOW, Key, Panel, Query, Thresholds, graph, table
from observability.promql import Scope
from observability.queries import gpu
from observability.variables import Variables

_NO_GPU = "No GPU in this stack"


def load(variables: Variables) -> tuple[Panel, ...]:
    """Utilisation, memory, clocks."""
    interval = variables.per_interval
    return (_utilisation(interval), _memory(interval), _clocks(interval))


def power(variables: Variables) -> tuple[Panel, ...]:
    """Power, temperature, and energy per token."""
    interval = variables.per_interval
    return (
        graph(
            "Power over its limit",
            "How close is the GPU to its power limit?",
            "relative to the enforced limit, averaged by the driver over about a second. Near 100 % under load is "
            "normal for an L4, and lowers its clocks.",
            "percentunit",
            8,
            (Query(gpu.power_share(interval), "{{vm}} GPU {{gpu}}"),),
            no_value=_NO_GPU,
            maximum=1.2,
        ),
        graph(
            "Temperatures",
            "Does the GPU get too hot?",
            "of the core only. The GPU itself decides when to throttle.",
            "celsius",
            8,
            (Query(gpu.per_gpu(interval, "GPU_TEMP"), "{{vm}} GPU {{gpu}}"),),
            no_value=_NO_GPU,
            thresholds=Thresholds("text", ((settings.GPU_HOT_CELSIUS, YELLOW),)),
            action="an L4 has no fan of its own: check the machine's airflow and neighbouring cards.",
        ),
        graph(
            "Energy of a written token",
            "How much energy does an output token take, and do larger batches lower it?",
            "all selected GPUs, idle time included, divided by vLLM's output tokens; without the rest of the machine.",
            "joule",
            8,
            (Query(gpu.joules_per_token(interval), "energy of a token"),),
            no_value="No traffic to vLLM",
            smooth=True,
        ),
    )


def processes(variables: Variables) -> tuple[Panel, ...]:
    """Processes, and the exporter itself."""
    interval, now = variables.per_interval, variables.now
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
            "Age of the data",
            "Are the values above current?",
            "compares the exporter's clock with Prometheus'. Rising: the GPU cannot be read, and its series are "
            "absent.",
            "s",
            7,
            (Query(gpu.data_age(interval), "{{vm}}"),),
            no_value=_NO_GPU,
            soft_max=10,
            thresholds=Thresholds("text", ((60, RED),)),
        ),
        graph(
            "Time to read the GPUs",
            "How long does reading the GPUs take?",
            "the latest collection. One that hangs shows in Age of the data.",
            "s",
            7,
            (Query(gpu.collect_seconds(interval), "{{vm}}"),),
            no_value=_NO_GPU,
        ),
    )


def _utilisation(interval: Scope) -> Panel:
    return graph(
        "Utilisation of GPU and memory",
        "How busy is the GPU, and is it limited by computing or by memory?",
        "shares of time in which anything ran, sampled by the driver: 100 % is not full load. Decoding is "
        "memory-bound.",
        "percent",
        8,
        (
            Query(gpu.per_gpu(interval, "GPU_UTIL"), "{{vm}} GPU {{gpu}}: computing"),
            Query(gpu.per_gpu(interval, "MEM_COPY_UTIL"), "{{vm}} GPU {{gpu}}: memory"),
        ),
        no_value=_NO_GPU,
        maximum=100,
        drilldown=links.ENGINE,
    )


def _memory(interval: Scope) -> Panel:
    return graph(
        "GPU memory",
        "How much GPU memory is free?",
        "vLLM reserves its share at start, whatever the load; vLLM KV cache in use shows how much of it is used.",
        "mbytes",
        8,
        tuple(
            Query(gpu.memory(interval, kind), f"{{{{vm}}}} GPU {{{{gpu}}}} {kind.lower()}")
            for kind in ("USED", "RESERVED", "FREE")
        ),
        no_value=_NO_GPU,
        stacked=True,
        colours=palette.MEMORY,
    )


def _clocks(interval: Scope) -> Panel:
    return graph(
        "Clocks",
        "Does the GPU run at full clock speed?",
        "an idle GPU lowers its clocks: low is a problem only under load.",
        "hertz",
        8,
        (
            Query(gpu.hertz(interval, "SM"), "{{vm}} GPU {{gpu}}: computing"),
            Query(gpu.hertz(interval, "MEM"), "{{vm}} GPU {{gpu}}: memory"),
        ),
        no_value=_NO_GPU,
    )
