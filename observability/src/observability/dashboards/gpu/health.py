"""Rows of the GPU dashboard on throttling and faults."""

from observability.panel import GREEN, ORANGE, Key, Panel, Query, graph, table, timeline
from observability.queries import gpu
from observability.variables import Variables

_NO_GPU = "No GPU in this stack"


def throttling(variables: Variables) -> tuple[Panel, ...]:
    """Clock events and the time that they took."""
    interval = variables.per_interval
    return (
        timeline(
            "What slows the clocks",
            "Is the GPU held back, and by what?",
            "the state at each scrape. power_cap under load is normal for a card with a low limit; the others are not.",
            "none",
            12,
            (Query(gpu.clock_events(interval), "{{clock_event}} GPU {{gpu}} {{vm}}"),),
            no_value=_NO_GPU,
            value_mappings=((0, "free", GREEN), (1, "held back", ORANGE)),
            minimum=None,
            action="hw_thermal, hw_slowdown, hw_power_brake: the machine's cooling or power supply; tell the provider.",
        ),
        graph(
            "Time spent held back",
            "How much of the time did it run slower than it was asked to?",
            "counted by the driver, so that nothing between two scrapes is lost; not every GPU counts both.",
            "percentunit",
            12,
            (
                Query(gpu.throttled_time(interval, "POWER"), "{{vm}} GPU {{gpu}}: power"),
                Query(gpu.throttled_time(interval, "THERMAL"), "{{vm}} GPU {{gpu}}: heat"),
            ),
            no_value=_NO_GPU,
            maximum=1,
            smooth=True,
        ),
    )


def faults(variables: Variables) -> tuple[Panel, ...]:
    """Errors of the driver, and of the memory."""
    full_range, now = variables.full_range, variables.now
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
            (Query(gpu.xids(full_range), "Times"),),
            no_value="None in the time shown",
            needs="needs-fault",
            keys=(Key("xid", "XID"), Key("gpu", "GPU"), Key("vm", "VM")),
            decimals=0,
            action="79: the GPU fell off the bus, the VM must be stopped and started. 48, 64, 95: its memory is broken; "
            "ask for another machine. docs/runbook.md has each.",
        ),
        table(
            "Memory errors",
            "Does the GPU's memory wear out?",
            "since the driver was loaded; rows since the GPU was made: replaced after mended errors, and after others. "
            "Consumer cards and T4s lack some of them.",
            "short",
            17,
            tuple(Query(gpu.per_gpu(now, name), title) for name, title in memory),
            no_value="This GPU does not count them",
            keys=(
                Key("gpu", "GPU", width=60),
                Key("vm", "VM", width=80),
            ),
            decimals=0,
        ),
    )
