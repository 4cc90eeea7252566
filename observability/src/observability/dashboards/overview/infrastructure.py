"""Rows of the Overview on infrastructure: engines, machines and targets."""

from observability import links, settings
from observability.dashboards import palette
from observability.dashboards.gateway.engines import STATE_MAPPINGS
from observability.panel import BLUE, GREEN, RED, Panel, Query, Thresholds, graph, timeline
from observability.promql import Scope
from observability.queries import llamacpp, node, stack, vllm
from observability.queries.gateway import engines, requests
from observability.variables import Variables

_NO_NODE_EXPORTER = "No node-exporter in this stack"


def engines_row(variables: Variables) -> tuple[Panel, ...]:
    """Whether engines can answer, and how full they are."""
    interval = variables.per_interval
    return (_engine_states(interval), _load(interval))


def machines(variables: Variables) -> tuple[Panel, ...]:
    """GPU memory, disks, CPU and memory of each VM."""
    interval = variables.per_interval
    return (
        graph(
            "GPU memory",
            "How much GPU memory is free?",
            "vLLM reserves its share at start, whatever the load; its KV cache metrics show how much of it is used.",
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
            "Is a disk filling up?",
            "excludes filesystems in memory. Prometheus and model caches fill disks; Docker rotates logs.",
            "percentunit",
            8,
            (Query(node.disk_free(interval), "{{vm}} {{mountpoint}}"),),
            no_value=_NO_NODE_EXPORTER,
            thresholds=Thresholds("text", ((settings.DISK_FREE_LIMIT, RED),)),
            maximum=1,
            action="docker system df; du -xh --max-depth 2 / | sort -h | tail.",
        ),
        graph(
            "Processors and memory in use",
            "Is the machine short of CPU or memory?",
            "over all CPUs: one busy and seven idle CPUs read 13 %. Memory used as file cache counts as free.",
            "percentunit",
            8,
            (Query(node.cpu_busy(interval), "{{vm}} processors"), Query(node.memory_used(interval), "{{vm}} memory")),
            no_value=_NO_NODE_EXPORTER,
            colours=(("/ processors$/", BLUE), ("/ memory$/", "purple")),
            maximum=1,
        ),
    )


def targets(variables: Variables) -> tuple[Panel, ...]:
    """Which targets are up."""
    return (
        timeline(
            "Targets",
            "Which target is down, and since when?",
            "a target that is up may still not serve clients: see Front door and Engine states. A job with several "
            "targets shows the worst.",
            "none",
            24,
            (Query(stack.targets_up(variables.per_interval), "{{job}} {{vm}}"),),
            no_value="No targets",
            value_mappings=((0, "down", RED), (1, "up", GREEN)),
            minimum=None,
        ),
    )


def _engine_states(interval: Scope) -> Panel:
    return Panel(
        kind="state-timeline",
        title="Engine states",
        question="Which engines can answer, and since when?",
        blind_spot="as the gateway sees them through its one-token probe; the launcher's /status and log say why one "
        "failed.",
        unit="none",
        width=12,
        queries=(Query(engines.state_code(interval), "{{engine}} {{vm}}"),),
        no_value="No engine known to the gateway",
        value_mappings=STATE_MAPPINGS,
        minimum=None,
    )


def _load(interval: Scope) -> Panel:
    return Panel(
        kind="timeseries",
        title="Requests in flight",
        question="How many requests are in flight, and where do they wait?",
        blind_spot="the value at each scrape: short bursts are missed. The gateway's number includes requests that "
        "wait in an engine.",
        unit="short",
        width=12,
        queries=(
            Query(requests.in_flight(interval), "gateway in flight"),
            Query(vllm.running(interval), "vLLM running"),
            Query(vllm.waiting(interval), "vLLM waiting"),
            Query(llamacpp.running(interval), "llama.cpp running"),
            Query(llamacpp.waiting(interval), "llama.cpp waiting"),
        ),
        no_value="No gateway and no engine scraped",
        colours=(("gateway in flight", "light-blue"), *palette.LOAD),
    )
