"""Rows of the Overview on infrastructure: engines, machines, targets and versions."""

from observability import links, settings
from observability.dashboards import palette
from observability.dashboards.gateway.engines import STATE_MAPPINGS
from observability.panel import BLUE, GREEN, GREY, ORANGE, RED, Key, Panel, Query, Thresholds, graph, table, timeline
from observability.promql import Scope
from observability.queries import events, extremes, host, node, stack, vllm
from observability.queries.gateway import history
from observability.variables import Variables

_NO_NODE_EXPORTER = "node-exporter not scraped"
_SECONDS_OF_SKEW = 2


def engines_row(variables: Variables) -> tuple[Panel, ...]:
    """Whether engines can answer, and how full they are."""
    return (_engine_states(variables.per_cell), _load(variables.per_cell))


def queue_time(variables: Variables) -> tuple[Panel, ...]:
    """How long requests queue in engines."""
    return (_queue_time(variables.per_interval),)


def machines(variables: Variables) -> tuple[Panel, ...]:
    """CPU and memory, disks, and GPU memory of each VM."""
    cell = variables.per_cell
    return (
        graph(
            "CPU and memory usage",
            "Is the machine short of CPU or memory?",
            "over all CPUs: one busy and seven idle CPUs read 13 %. Memory used as file cache counts as free.",
            "percentunit", 8,
            (
                Query(host.cpu_busy(cell), "{{vm}} CPU"),
                Query(extremes.memory_used(cell), "{{vm}} memory"),
            ),
            no_value=_NO_NODE_EXPORTER, colours=(("/ CPU$/", BLUE), ("/ memory$/", palette.PURPLE)), maximum=1,
            step_seconds=history.STEP_SECONDS,
        ),
        graph(
            "Free disk space",
            "Is a disk filling up?",
            "excludes filesystems in memory. Prometheus and model caches fill disks; Docker rotates logs.",
            "percentunit", 8, (Query(extremes.disk_free(cell), "{{vm}} {{mountpoint}}"),),
            no_value=_NO_NODE_EXPORTER, thresholds=Thresholds("text", ((settings.DISK_FREE_LIMIT, RED),)), maximum=1,
            step_seconds=extremes.MACHINE_STEP_SECONDS,
            action="docker system df; du -xh --max-depth 2 / | sort -h | tail.",
        ),
        graph(
            "GPU memory",
            "How much GPU memory is free?",
            "vLLM reserves its share at start, whatever the load; its KV cache metrics show how much of it is used.",
            "mbytes", 8,
            tuple(
                Query(extremes.gpu_memory(cell, kind), f"{{{{vm}}}} GPU {{{{gpu}}}} {kind.lower()}")
                for kind in ("USED", "RESERVED", "FREE")
            ),
            no_value="gpu-exporter not scraped", colours=palette.MEMORY, stacked=True, drilldown=links.GPU, part="gpu",
            step_seconds=extremes.MACHINE_STEP_SECONDS,
        ),
    )  # fmt: skip


def machine_io(variables: Variables) -> tuple[Panel, ...]:
    """Input and output of each VM, processes that were killed, and its clock."""
    interval = variables.per_interval
    return (
        graph(
            "Disk I/O",
            "Does a disk limit the machine, as while a model is loaded?",
            "all disks together; says nothing about how busy one is.",
            "binBps", 6,
            (
                Query(host.disk_bytes(interval, "read"), "{{vm}} read"),
                Query(host.disk_bytes(interval, "written"), "{{vm}} written"),
            ),
            no_value=_NO_NODE_EXPORTER, colours=(("/ read$/", BLUE), ("/ written$/", ORANGE)),
        ),
        graph(
            "Network I/O",
            "How much data goes in and out?",
            "all interfaces but those between containers.",
            "binBps", 6,
            (
                Query(host.network_bytes(interval, "receive"), "{{vm}} received"),
                Query(host.network_bytes(interval, "transmit"), "{{vm}} sent"),
            ),
            no_value=_NO_NODE_EXPORTER, colours=(("/ received$/", BLUE), ("/ sent$/", ORANGE)),
        ),
        graph(
            "OOM kills",
            "Did the kernel kill a process for want of memory?",
            "of the whole machine, containers at their limit included: dmesg names the process.",
            "short", 6, (Query(host.oom_kills(interval), "{{vm}}"),),
            no_value=_NO_NODE_EXPORTER, thresholds=Thresholds.limit(1), drilldown=links.GATEWAY,
            action="dmesg -T | grep -i 'killed process'; docker compose ps shows which container restarted.",
        ),
        graph(
            "Clock skew",
            "Do the clocks of the machines agree with that of Prometheus?",
            "includes how long the scrape takes: milliseconds are no skew. Times and ages shown are wrong by it.",
            "s", 6, (Query(node.clock_skew(interval), "{{vm}}"),),
            no_value=_NO_NODE_EXPORTER, minimum=None, soft_max=1,
            thresholds=Thresholds("text", ((-_SECONDS_OF_SKEW, "text"), (_SECONDS_OF_SKEW, RED))),
            action="timedatectl; systemctl restart systemd-timesyncd, or chronyc makestep.",
        ),
    )  # fmt: skip


def targets(variables: Variables) -> tuple[Panel, ...]:
    """Which targets are up, what runs, and what Grafana itself says of its alerts."""
    return (
        timeline(
            "Scrape targets",
            "Which target was down, and since when?",
            "a target that is up may still not serve clients: see HTTPS health check and Engine states. A job with "
            "several targets shows the worst; over long ranges each bar shows the worst scrape in it.",
            "none", 10, (Query(stack.targets_up(variables.per_interval), "{{job}} {{vm}}"),),
            no_value="No targets", value_mappings=((0, "down", RED), (1, "up", GREEN)), minimum=None,
        ),
        table(
            "Versions",
            "Which version of each part runs?",
            "of what exports its version. An engine has none until it is ready.",
            "none", 7, (Query(events.versions(variables.now), "Running"),),
            no_value="Nothing scraped", value_mappings=((1, "yes", GREEN),),
            keys=(Key("job", "Part", width=110), Key("version", "Version"), Key("vm", "VM", width=70)),
        ),
        Panel(
            kind="alertlist",
            title="Alert rules in Grafana",
            question="Which alerts does Grafana itself report as firing? It also sees that Prometheus is down.",
            blind_spot="severity and meaning: click an alert, or see Firing alerts, which Prometheus evaluates.",
            unit="none",
            width=7,
            queries=(),
            no_value="No alerts firing",
        ),
    )  # fmt: skip


def _engine_states(cell: Scope) -> Panel:
    return timeline(
        "Engine states",
        "Which engines can answer, and since when?",
        "as the gateway sees them through its one-token probe; the launcher's /status and log say why one failed. Over "
        "long ranges each bar shows the worst state in it.",
        "none", 12, (Query(extremes.engine_state(cell), "{{engine}} {{vm}}"),),
        no_value="Gateway not scraped", value_mappings=STATE_MAPPINGS, minimum=None, drilldown=links.ENGINE,
        step_seconds=extremes.STEP_SECONDS,
    )  # fmt: skip


def _load(cell: Scope) -> Panel:
    return graph(
        "Requests in flight and waiting",
        "How many requests are in flight, and where do they wait?",
        "the peaks of the scrapes around each point: shorter bursts are missed. Peaks of models and servers are added "
        "up, even if they were at different times. The gateway's number includes requests that wait in an engine.",
        "short", 12,
        (
            Query(extremes.in_flight(cell), "gateway in flight"),
            Query(extremes.vllm(cell, extremes.VLLM_RUNNING), "vLLM running"),
            Query(extremes.vllm(cell, extremes.VLLM_WAITING), "vLLM waiting"),
            Query(extremes.llamacpp(cell, extremes.LLAMACPP_RUNNING), "llama.cpp running"),
            Query(extremes.llamacpp(cell, extremes.LLAMACPP_WAITING), "llama.cpp waiting"),
        ),
        no_value="Neither gateway nor engine scraped",
        colours=(("gateway in flight", GREY), *palette.LOAD), step_seconds=extremes.STEP_SECONDS,
    )  # fmt: skip


def _queue_time(interval: Scope) -> Panel:
    return graph(
        "Queue time",
        "How long do requests wait in vLLM before it begins with them?",
        "vLLM only: llama.cpp exports no queue time. Requests of other clients of the engine are included.",
        "s", 24,
        tuple(
            Query(vllm.histogram_quantile(interval, "request_queue_time_seconds", q), name)
            for q, name in palette.QUANTILE_NUMBERS[:2]
        ),
        no_value="No data: no traffic, or vLLM is not scraped", colours=palette.QUANTILES, smooth=True, part="vllm",
    )  # fmt: skip
