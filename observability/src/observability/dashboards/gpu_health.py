"""The lower rows of the GPU dashboard: power and heat, what holds it back, faults, and who uses it."""

from observability import settings
from observability.panel import GREEN, ORANGE, RED, YELLOW, Key, Panel, Query, Thresholds, graph, table, timeline
from observability.queries import gpu
from observability.variables import Choices

_NO_GPU = "No GPU in this stack"


def power(choices: Choices) -> tuple[Panel, ...]:
    """Watts, degrees, and joules for a token."""
    at = choices.at_each_point
    return (
        graph(
            "Power over its limit",
            "Does the GPU work as hard as it may?",
            "the limit that is enforced now; the driver's average over about a second. Near 100 % under load is normal "
            "for an L4, and slows its clock.",
            "percentunit",
            8,
            (Query(gpu.power_share(at), "{{vm}} GPU {{gpu}}"),),
            nothing=_NO_GPU,
            maximum=1.2,
        ),
        graph(
            "Temperatures",
            "Does it get too hot?",
            "a GPU without a sensor at its memory has no line for that. When it slows down, it decides itself.",
            "celsius",
            8,
            (Query(gpu.of_each(at, "GPU_TEMP"), "{{vm}} GPU {{gpu}}"),),
            nothing=_NO_GPU,
            thresholds=Thresholds("text", ((settings.GPU_HOT_CELSIUS, YELLOW),)),
            then="an L4 has no fan of its own: look at the air through the machine, or at its neighbours.",
        ),
        graph(
            "Energy of a written token",
            "What does a token cost in energy, and does a larger batch make it cheaper?",
            "of all GPUs shown, idle time included, by the tokens that vLLM wrote; without the machine around them.",
            "joule",
            8,
            (Query(gpu.joules_per_token(at), "energy of a token"),),
            nothing="No traffic to vLLM",
            smooth=True,
        ),
    )


def held_back(choices: Choices) -> tuple[Panel, ...]:
    """Clock events and the time that they took."""
    at = choices.at_each_point
    return (
        timeline(
            "What slows the clocks",
            "Is the GPU held back, and by what?",
            "the state at each scrape. power_cap under load is normal for a card with a low limit; the others are not.",
            "none",
            12,
            (Query(gpu.clock_events(at), "{{clock_event}} GPU {{gpu}} {{vm}}"),),
            nothing=_NO_GPU,
            words=((0, "free", GREEN), (1, "held back", ORANGE)),
            minimum=None,
            then="hw_thermal, hw_slowdown, hw_power_brake: the machine's cooling or power supply; tell the provider.",
        ),
        graph(
            "Time spent held back",
            "How much of the time did it run slower than it was asked to?",
            "counted by the driver, so that nothing between two scrapes is lost; not every GPU counts both.",
            "percentunit",
            12,
            (
                Query(gpu.held_back(at, "POWER"), "{{vm}} GPU {{gpu}}: power"),
                Query(gpu.held_back(at, "THERMAL"), "{{vm}} GPU {{gpu}}: heat"),
            ),
            nothing=_NO_GPU,
            maximum=1,
            smooth=True,
        ),
    )


def faults(choices: Choices) -> tuple[Panel, ...]:
    """Errors of the driver, and of the memory."""
    page, now = choices.over_the_page, choices.now
    memory = (
        ("ECC_SBE_VOL_TOTAL", "ECC mended"),
        ("ECC_DBE_VOL_TOTAL", "ECC broken"),
        ("CORRECTABLE_REMAPPED_ROWS", "Rows mended"),
        ("UNCORRECTABLE_REMAPPED_ROWS", "Rows lost"),
        ("ROW_REMAP_PENDING", "Reset due"),
        ("ROW_REMAP_FAILURE", "No spares"),
        ("PCIE_REPLAY_COUNTER", "PCIe"),
    )
    return (
        table(
            "XID errors",
            "What did the driver report, in the time shown?",
            "only what happens while the exporter runs; an estimate where the time shown begins between two scrapes.",
            "short",
            7,
            (Query(gpu.xids(page), "Times"),),
            nothing="None in the time shown",
            needs="needs-fault",
            keys=(Key("xid", "XID"), Key("gpu", "GPU"), Key("vm", "VM")),
            decimals=0,
            then="79: the GPU fell off the bus, the VM must be stopped and started. 48, 64, 95: its memory is broken; "
            "ask for another machine. docs/runbook.md has each.",
        ),
        table(
            "Memory errors",
            "Does the GPU's memory wear out?",
            "since the driver was loaded; rows since the GPU was made: replaced after mended errors, and after others. "
            "Consumer cards and T4s lack some of them.",
            "short",
            17,
            tuple(Query(gpu.of_each(now, name), title) for name, title in memory),
            nothing="This GPU does not count them",
            keys=(
                Key("gpu", "GPU", width=60),
                Key("vm", "VM", width=80),
            ),
            decimals=0,
        ),
    )


def users(choices: Choices) -> tuple[Panel, ...]:
    """Processes, and the exporter itself."""
    at, now = choices.at_each_point, choices.now
    return (
        table(
            "Processes on the GPU",
            "Who holds the GPU's memory?",
            "a process in another container is seen only where the exporter shares its pid namespace with the host.",
            "bytes",
            10,
            (Query(gpu.processes(now), "Memory"),),
            nothing="None that the driver names",
            keys=(Key("name", "Process"), Key("pid", "Pid"), Key("gpu", "GPU"), Key("vm", "VM")),
        ),
        graph(
            "Age of the data",
            "Are the numbers above current?",
            "the exporter's clock against Prometheus'. Rising: it cannot read the GPU, whose series vanish meanwhile.",
            "s",
            7,
            (Query(gpu.age_of_data(at), "{{vm}}"),),
            nothing=_NO_GPU,
            reaches=10,
            thresholds=Thresholds("text", ((60, RED),)),
        ),
        graph(
            "Time to read the GPUs",
            "Is the driver quick to answer?",
            "of the latest collection. One that hangs shows as age, not here.",
            "s",
            7,
            (Query(gpu.collect_seconds(at), "{{vm}}"),),
            nothing=_NO_GPU,
        ),
    )
