from collections import Counter

from gpu_exporter.catalogue import TABLE

# Name and type as dcgm-exporter has them: `gauge` unless here.
COUNTERS = {
    *("TOTAL_ENERGY_CONSUMPTION", "PCIE_REPLAY_COUNTER", "ECC_SBE_VOL_TOTAL", "ECC_DBE_VOL_TOTAL"),
    *("CORRECTABLE_REMAPPED_ROWS", "UNCORRECTABLE_REMAPPED_ROWS", "POWER_VIOLATION", "THERMAL_VIOLATION"),
}
GAUGES = {
    *("GPU_UTIL", "MEM_COPY_UTIL", "ENC_UTIL", "DEC_UTIL", "FB_USED", "FB_FREE", "FB_RESERVED", "FB_TOTAL"),
    *("SM_CLOCK", "MEM_CLOCK", "GPU_TEMP", "MEMORY_TEMP", "POWER_USAGE", "ENFORCED_POWER_LIMIT", "POWER_MGMT_LIMIT"),
    *("ROW_REMAP_FAILURE", "ROW_REMAP_PENDING", "CLOCKS_EVENT_REASONS"),
}


def test_names_and_types_are_dcgms() -> None:
    metrics = {row.metric for group in TABLE for row in group.rows}
    dcgm = {metric.name: metric.kind for metric in metrics if metric.name.startswith("DCGM_")}
    expected = dict.fromkeys(GAUGES, "gauge") | dict.fromkeys(COUNTERS, "counter")
    assert dcgm == {f"DCGM_FI_DEV_{name}": kind for name, kind in expected.items()}
    assert {metric.name for metric in metrics} - set(dcgm) == {"gpu_clock_event_active"}


def test_no_series_comes_twice() -> None:
    series = Counter((row.metric.name, row.labels) for group in TABLE for row in group.rows)
    assert max(series.values()) == 1


def test_one_metric_has_one_help_text() -> None:
    texts = {(row.metric.name, row.metric.help) for group in TABLE for row in group.rows}
    assert len(texts) == len({name for name, _ in texts})


def test_the_clock_events_are_those_that_hold_clocks_down() -> None:
    events = {
        dict(row.labels)["clock_event"] for group in TABLE for row in group.rows if row.metric.name.startswith("gpu_")
    }
    assert events == {"power_cap", "hw_slowdown", "hw_thermal", "hw_power_brake", "sw_thermal"}


def test_nothing_that_nvml_cannot_know_is_made_up() -> None:
    assert not [row for group in TABLE for row in group.rows if "PROF" in row.metric.name]
