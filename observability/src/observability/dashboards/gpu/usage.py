"""Rows of the GPU dashboard on load, power, and the processes that use the GPU."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import (
    RED,
    YELLOW,
    Key,
    Panel,
    Query,
    Thresholds,
    graph,
    table,
)
from observability.promql import Scope
from observability.queries import gpu
from observability.variables import Variables

_NO_GPU = "No GPU in this stack"


def load(variables: Variables) -> tuple[Panel, ...]:
    """Utilisation, memory, clocks."""
    interval = variables.per_interval
    return (_utilisation(interval), _memory(interval), _clocks(interval))


def power(variables: Variables) -> tuple[Panel, ...]:
    """Watts, degrees, and joules for a token."""
    interval = variables.per_interval
    return (
        graph(
            "Power over its limit",
            "Does the GPU work as hard as it may?",
            "the limit that is enforced now; the driver's average over about a second. Near 100 % under load is normal "
            "for an L4, and slows its clock.",
            "percentunit",
            8,
            (Query(gpu.power_share(interval), "{{vm}} GPU {{gpu}}"),),
            no_value=_NO_GPU,
            maximum=1.2,
        ),
        graph(
            "Temperatures",
            "Does it get too hot?",
            "a GPU without a sensor at its memory has no line for that. When it slows down, it decides itself.",
            "celsius",
            8,
            (Query(gpu.per_gpu(interval, "GPU_TEMP"), "{{vm}} GPU {{gpu}}"),),
            no_value=_NO_GPU,
            thresholds=Thresholds("text", ((settings.GPU_HOT_CELSIUS, YELLOW),)),
            action="an L4 has no fan of its own: look at the air through the machine, or at its neighbours.",
        ),
        graph(
            "Energy of a written token",
            "What does a token cost in energy, and does a larger batch make it cheaper?",
            "of all GPUs shown, idle time included, by the tokens that vLLM wrote; without the machine around them.",
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
            "Who holds the GPU's memory?",
            "a process in another container is seen only where the exporter shares its pid namespace with the host.",
            "bytes",
            10,
            (Query(gpu.processes(now), "Memory"),),
            no_value="None that the driver names",
            keys=(Key("name", "Process"), Key("pid", "Pid"), Key("gpu", "GPU"), Key("vm", "VM")),
        ),
        graph(
            "Age of the data",
            "Are the numbers above current?",
            "the exporter's clock against Prometheus'. Rising: it cannot read the GPU, whose series vanish meanwhile.",
            "s",
            7,
            (Query(gpu.data_age(interval), "{{vm}}"),),
            no_value=_NO_GPU,
            soft_max=10,
            thresholds=Thresholds("text", ((60, RED),)),
        ),
        graph(
            "Time to read the GPUs",
            "Is the driver quick to answer?",
            "of the latest collection. One that hangs shows as age, not here.",
            "s",
            7,
            (Query(gpu.collect_seconds(interval), "{{vm}}"),),
            no_value=_NO_GPU,
        ),
    )


def _utilisation(interval: Scope) -> Panel:
    return graph(
        "Utilisation of GPU and memory",
        "Is the GPU at work, and does it compute or wait for its memory?",
        "shares of time in which anything ran, sampled by the driver: 100 % is not full. Decoding is bound by memory.",
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
        "How much memory of the GPU is left?",
        "vLLM takes its share at start, whatever the load: what it uses of that is in vLLM KV cache in use.",
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
        "Does the GPU run as fast as it can?",
        "an idle GPU lowers its clock by itself: low is a fault only under load.",
        "hertz",
        8,
        (
            Query(gpu.hertz(interval, "SM"), "{{vm}} GPU {{gpu}}: computing"),
            Query(gpu.hertz(interval, "MEM"), "{{vm}} GPU {{gpu}}: memory"),
        ),
        no_value=_NO_GPU,
    )
