from collections import Counter

from gpu_exporter import processes, xid_counters
from gpu_exporter.collector import CallCollector, Field
from gpu_exporter.collectors import COLLECTORS
from launcher.exposition import Metric

# Name and type as dcgm-exporter has them: `gauge` unless here.
COUNTERS = {
    *("TOTAL_ENERGY_CONSUMPTION", "PCIE_REPLAY_COUNTER", "ECC_SBE_VOL_TOTAL", "ECC_DBE_VOL_TOTAL"),
    *("CORRECTABLE_REMAPPED_ROWS", "UNCORRECTABLE_REMAPPED_ROWS", "POWER_VIOLATION", "THERMAL_VIOLATION"),
}
GAUGES = {
    *("GPU_UTIL", "MEM_COPY_UTIL", "ENC_UTIL", "DEC_UTIL", "FB_USED", "FB_FREE", "FB_RESERVED", "FB_TOTAL"),
    *("SM_CLOCK", "MEM_CLOCK", "GPU_TEMP", "MEMORY_TEMP", "POWER_USAGE", "ENFORCED_POWER_LIMIT", "POWER_MGMT_LIMIT"),
    *(
        "PCIE_TX_THROUGHPUT",
        "PCIE_RX_THROUGHPUT",
        "ROW_REMAP_FAILURE",
        "ROW_REMAP_PENDING",
        "CLOCKS_EVENT_REASONS",
        "XID_ERRORS",
    ),
}


def fields() -> list[Field]:
    return [field for collector in COLLECTORS if isinstance(collector, CallCollector) for field in collector.fields]


def metrics() -> set[Metric]:
    return {field.metric for field in fields()} | {
        processes.METRIC,
        xid_counters.LAST_XID,
        xid_counters.TOTAL,
        xid_counters.LAST_TIMESTAMP,
    }


def test_names_and_types_are_dcgms() -> None:
    dcgm = {metric.name: metric.kind for metric in metrics() if metric.name.startswith("DCGM_")}
    expected = dict.fromkeys(GAUGES, "gauge") | dict.fromkeys(COUNTERS, "counter")
    assert dcgm == {f"DCGM_FI_DEV_{name}": kind for name, kind in expected.items()}
    assert {metric.name for metric in metrics()} - set(dcgm) == {
        "gpu_clock_event_active", "gpu_process_memory_bytes", "gpu_xid_errors_total", "gpu_xid_last_timestamp_seconds",
    }  # fmt: skip


def test_no_series_comes_twice() -> None:
    series = Counter((field.metric.name, field.labels) for field in fields())
    assert max(series.values()) == 1


def test_one_metric_has_one_help_text() -> None:
    assert len({metric.help for metric in metrics()}) == len(metrics()) == len({metric.name for metric in metrics()})


def test_the_clock_events_are_those_that_hold_clocks_down() -> None:
    events = {dict(field.labels)["clock_event"] for field in fields() if field.metric.name.startswith("gpu_")}
    assert events == {"power_cap", "hw_slowdown", "hw_thermal", "hw_power_brake", "sw_thermal"}


def test_profiling_fields_are_not_made_up() -> None:
    assert not [metric for metric in metrics() if "PROF" in metric.name]


def test_under_mig_memory_and_processes_are_those_of_the_instances() -> None:
    assert [str(collector).split(", ")[0] for collector in COLLECTORS if collector.per_instance] == [
        "DCGM_FI_DEV_FB_TOTAL",
        "gpu_process_memory_bytes",
    ]
