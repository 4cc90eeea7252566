"""Rows of the Overview on infrastructure: engines, machines and targets."""

from observability import links, settings
from observability.dashboards import palette
from observability.dashboards.gateway.engines import STATE_MAPPINGS
from observability.panel import (
    BLUE,
    GREEN,
    RED,
    Panel,
    Query,
    Thresholds,
    graph,
    timeline,
)
from observability.promql import Scope
from observability.queries import llamacpp, node, stack, vllm
from observability.queries.gateway import engines, requests
from observability.variables import Variables

_NONE = "No node-exporter in this stack"


def engines_row(variables: Variables) -> tuple[Panel, ...]:
    """Whether engines can answer, and how full they are."""
    interval = variables.per_interval
    return (_engine_states(interval), _load(interval))


def machines(variables: Variables) -> tuple[Panel, ...]:
    """What each VM has left."""
    interval = variables.per_interval
    return (
        graph(
            "GPU memory",
            "How much memory of the GPU is left?",
            "vLLM takes its share at start, whatever the load: what it uses of that is in its KV cache metrics.",
            "mbytes",
            8,
            tuple(
                Query(stack.vram(interval, kind), f"{{{{vm}}}} GPU {{{{gpu}}}} {kind.lower()}")
                for kind in ("USED", "RESERVED", "FREE")
            ),
            no_value="No GPU in this stack",
            colours=palette.MEMORY,
            stacked=True,
            drilldown=links.GPU,
        ),
        graph(
            "Disks, free",
            "Will a disk be full soon?",
            "file systems in memory are left out. Prometheus and a model's cache fill disks; logs are cut off by "
            "Docker.",
            "percentunit",
            8,
            (Query(node.disk_free(interval), "{{vm}} {{mountpoint}}"),),
            no_value=_NONE,
            thresholds=Thresholds("text", ((settings.DISK_FREE_LIMIT, RED),)),
            maximum=1,
            action="docker system df; du -xh --max-depth 2 / | sort -h | tail.",
        ),
        graph(
            "Processors and memory in use",
            "Is the machine itself busy, or short of memory?",
            "of all its processors together: one that is full and seven that idle read 13 %. Memory that only caches "
            "files counts as free.",
            "percentunit",
            8,
            (Query(node.cpu_busy(interval), "{{vm}} processors"), Query(node.memory_used(interval), "{{vm}} memory")),
            no_value=_NONE,
            colours=(("/ processors$/", BLUE), ("/ memory$/", "purple")),
            maximum=1,
        ),
    )


def targets(variables: Variables) -> tuple[Panel, ...]:
    """Which parts answer."""
    return (
        timeline(
            "Targets",
            "Which part does not answer Prometheus, and since when?",
            "answering /metrics is not serving: the front door and engine states say that. Of several targets of a "
            "part the worst counts.",
            "none",
            24,
            (Query(stack.targets_up(variables.per_interval), "{{job}} {{vm}}"),),
            no_value="Prometheus scrapes nothing",
            value_mappings=((0, "down", RED), (1, "up", GREEN)),
            minimum=None,
        ),
    )


def _engine_states(interval: Scope) -> Panel:
    return Panel(
        kind="state-timeline",
        title="Engine states",
        question="Which engines can answer, and since when?",
        blind_spot="as the gateway sees them, by its own one-token probe; why one failed is told by its launcher's "
        "/status and log.",
        unit="none",
        width=12,
        queries=(Query(engines.state_code(interval), "{{engine}} {{vm}}"),),
        no_value="The gateway knows no engine",
        value_mappings=STATE_MAPPINGS,
        minimum=None,
    )


def _load(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Requests in flight",
        question="Is it full, and where do requests wait?",
        blind_spot="the value at each scrape: short bursts between two are not seen. The gateway's own includes those "
        "that an engine makes wait.",
        unit="short",
        width=12,
        queries=(
            Query(requests.in_flight(interval), "gateway in flight"),
            Query(vllm.running(interval), "vLLM running"),
            Query(vllm.waiting(interval), "vLLM waiting"),
            Query(llamacpp.running(interval), "llama.cpp running"),
            Query(llamacpp.waiting(interval), "llama.cpp waiting"),
        ),
        no_value="Neither gateway nor engine is scraped",
        colours=(("gateway in flight", "light-blue"), *palette.LOAD),
    )
