from prometheus_client.parser import text_string_to_metric_families
from tests.unit.gpu_exporter.fakes import UTIL, snapshot

from gpu_exporter import exposition
from gpu_exporter.metric import Metric, Sample
from gpu_exporter.report import Report
from gpu_exporter.snapshot import Reading, Snapshot


def test_all_series_of_a_metric_stand_together() -> None:
    lines = exposition.render(Report(snapshot(0, 1), 2, 1.5, None)).splitlines()
    at = lines.index("# TYPE DCGM_FI_DEV_GPU_UTIL gauge")
    assert lines[at + 1 :] == ['DCGM_FI_DEV_GPU_UTIL{gpu="0"} 50', 'DCGM_FI_DEV_GPU_UTIL{gpu="1"} 51']
    assert "gpu_exporter_last_success_timestamp_seconds 1.5" in lines


def test_a_time_that_never_was_is_absent() -> None:
    assert "last_success" not in exposition.render(Report(snapshot(), 0, None, None))


def test_label_values_are_escaped() -> None:
    odd = 'a "b" \\ c\nd'
    text = exposition.render(
        Report(Snapshot((Reading((("modelName", odd),), (Sample(UTIL, 1),)),), None, 0.0), 1, None, None)
    )
    (family,) = [found for found in text_string_to_metric_families(text) if found.name == UTIL.name]
    assert family.samples[0].labels == {"modelName": odd}


def test_large_counters_lose_nothing_and_names_get_no_suffix() -> None:
    energy = Metric("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter", "Energy (in mJ).")
    text = exposition.render(Report(Snapshot((Reading((), (Sample(energy, 2**63 + 1),)),), None, 0.0), 1, None, None))
    assert text.endswith(f"{energy.name} {2**63 + 1}\n")
