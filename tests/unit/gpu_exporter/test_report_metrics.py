from tests.unit.gpu_exporter.fakes import snapshot

from gpu_exporter import report_metrics
from gpu_exporter.report import Report


def test_all_series_of_a_metric_stand_together() -> None:
    lines = report_metrics.render(Report(snapshot(0, 1), 2, 1.5, None)).splitlines()
    at = lines.index("# TYPE DCGM_FI_DEV_GPU_UTIL gauge")
    assert lines[at + 1 :] == ['DCGM_FI_DEV_GPU_UTIL{gpu="0"} 50', 'DCGM_FI_DEV_GPU_UTIL{gpu="1"} 51']
    assert "gpu_up 1" in lines
    assert "gpu_exporter_last_success_timestamp_seconds 1.5" in lines


def test_without_a_success_there_is_no_time_of_one() -> None:
    assert "last_success" not in report_metrics.render(Report(snapshot(), 0, None, None))
