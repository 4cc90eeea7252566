"""The last rows of the overview: machines, and which parts answer."""

from observability import links, settings
from observability.dashboards import palette
from observability.panel import BLUE, GREEN, RED, Panel, Query, Thresholds, graph, timeline
from observability.queries import machine, stack
from observability.variables import Choices

_NONE = "No node-exporter in this stack"


def machines(choices: Choices) -> tuple[Panel, ...]:
    """What each VM has left."""
    at = choices.at_each_point
    return (
        graph(
            "GPU memory",
            "How much memory of the GPU is left?",
            "vLLM takes its share at start, whatever the load: what it uses of that is in its KV cache metrics.",
            "mbytes",
            8,
            tuple(
                Query(stack.vram(at, kind), f"{{{{vm}}}} GPU {{{{gpu}}}} {kind.lower()}")
                for kind in ("USED", "RESERVED", "FREE")
            ),
            nothing="No GPU in this stack",
            colours=palette.MEMORY,
            stacked=True,
            opens=links.GPU,
        ),
        graph(
            "Disks, free",
            "Will a disk be full soon?",
            "file systems in memory are left out. Prometheus and a model's cache fill disks; logs are cut off by "
            "Docker.",
            "percentunit",
            8,
            (Query(machine.disk_free(at), "{{vm}} {{mountpoint}}"),),
            nothing=_NONE,
            thresholds=Thresholds("text", ((settings.DISK_FREE_LIMIT, RED),)),
            maximum=1,
            then="docker system df; du -xh --max-depth 2 / | sort -h | tail.",
        ),
        graph(
            "Processors and memory in use",
            "Is the machine itself busy, or short of memory?",
            "of all its processors together: one that is full and seven that idle read 13 %. Memory that only caches "
            "files counts as free.",
            "percentunit",
            8,
            (Query(machine.busy(at), "{{vm}} processors"), Query(machine.memory_used(at), "{{vm}} memory")),
            nothing=_NONE,
            colours=(("/ processors$/", BLUE), ("/ memory$/", "purple")),
            maximum=1,
        ),
    )


def targets(choices: Choices) -> tuple[Panel, ...]:
    """Which parts answer."""
    return (
        timeline(
            "Targets",
            "Which part does not answer Prometheus, and since when?",
            "answering /metrics is not serving: the front door and engine states say that. Of several targets of a "
            "part the worst counts.",
            "none",
            24,
            (Query(stack.targets(choices.at_each_point), "{{job}} {{vm}}"),),
            nothing="Prometheus scrapes nothing",
            words=((0, "down", RED), (1, "up", GREEN)),
            minimum=None,
        ),
    )
