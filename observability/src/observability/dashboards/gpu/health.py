"""Rows of the GPU dashboard on throttling and faults."""

from observability.panel import COUNT, GREEN, ORANGE, Key, Panel, Query, graph, table, timeline
from observability.queries import gpu
from observability.variables import Variables

_NO_GPU = "gpu-exporter not scraped"


def throttling(variables: Variables) -> tuple[Panel, ...]:
    """Clock events, and the time they took."""
    interval = variables.per_interval
    return (
        timeline(
            "Clock throttle reasons",
            "Is the GPU throttled, and by what?",
            "in any scrape of each interval. power_cap under load is normal for a card with a low limit; other "
            "events are not.",
            "none",
            12,
            (Query(gpu.clock_events(interval), "{{clock_event}} GPU {{gpu}} {{vm}}"),),
            no_value=_NO_GPU,
            value_mappings=((0, "not active", GREEN), (1, "throttled", ORANGE)),
            minimum=None,
            action="hw_thermal, hw_slowdown, hw_power_brake: the machine's cooling or power supply; contact the "
            "provider.",
        ),
        graph(
            "Throttled time",
            "For what share of the time was it throttled?",
            "counted by the driver, so that nothing between two scrapes is missed; not every GPU counts both.",
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
    """XID errors and memory errors."""
    full_range, now = variables.full_range, variables.now
    memory = (
        ("ECC_SBE_VOL_TOTAL", "ECC corrected"),
        ("ECC_DBE_VOL_TOTAL", "ECC uncorrected"),
        ("CORRECTABLE_REMAPPED_ROWS", "Remapped rows corrected"),
        ("UNCORRECTABLE_REMAPPED_ROWS", "Remapped rows uncorrectable"),
        ("ROW_REMAP_PENDING", "Remap pending"),
        ("ROW_REMAP_FAILURE", "Remap failed"),
        ("PCIE_REPLAY_COUNTER", "PCIe replays"),
    )
    return (
        table(
            "XID errors",
            "Which errors did the driver report, in the selected time range?",
            "only errors while the exporter runs; an estimate where the time range starts between two scrapes.",
            COUNT,
            7,
            (Query(gpu.xids(full_range), "Times"),),
            no_value="None in the selected time range",
            needs="needs-fault",
            keys=(Key("xid", "XID"), Key("gpu", "GPU"), Key("vm", "VM")),
            decimals=0,
            action="79: the GPU fell off the bus; stop and start the VM. 48, 64, 95: faulty memory; move to another "
            "machine. See GpuXidError in docs/runbook.md.",
        ),
        table(
            "Memory errors",
            "Does the GPU have memory errors?",
            "since the driver was loaded; remapped rows over the lifetime of the GPU, after corrected errors and after "
            "uncorrectable ones. Consumer cards and T4s lack some counters.",
            COUNT,
            17,
            tuple(Query(gpu.per_gpu(now, name), title) for name, title in memory),
            no_value="Not counted by this GPU",
            keys=(
                Key("gpu", "GPU", width=60),
                Key("vm", "VM", width=80),
            ),
            decimals=0,
        ),
    )
