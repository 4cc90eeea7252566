"""A report as metrics."""

from collections.abc import Iterator

from gpu_exporter.report import Report
from launcher import exposition
from launcher.exposition import Metric, Sample

UP = Metric("gpu_up", "gauge", "1 when every GPU that should be there was read for this scrape, else 0.")
VISIBLE = Metric("gpu_exporter_gpus_visible", "gauge", "GPUs that were read for this scrape.")
EXPECTED = Metric(
    "gpu_exporter_gpus_expected", "gauge", "GPUs that should be there: GPU_EXPORTER_EXPECTED, or the most ever seen."
)
DURATION = Metric(
    "gpu_exporter_collect_duration_seconds", "gauge", "How long reading the GPUs took, or takes so far when it hangs."
)
REPLAY = Metric("gpu_exporter_replay", "gauge", "1 when all this is a recording that is played back, else 0.")
LAST_SUCCESS = Metric(
    "gpu_exporter_last_success_timestamp_seconds", "gauge", "When every GPU was last read; absent when never."
)


def render(report: Report) -> str:
    """Write a report in Prometheus' text format; what could not be read is absent."""
    return exposition.render((*_own(report), *_readings(report)))


def _own(report: Report) -> Iterator[Sample]:
    yield Sample(UP, int(report.up))
    yield Sample(VISIBLE, len(report.snapshot.readings))
    yield Sample(EXPECTED, report.expected)
    yield Sample(REPLAY, 0)
    yield Sample(DURATION, round(report.snapshot.seconds, 6))
    if report.last_success is not None:
        yield Sample(LAST_SUCCESS, round(report.last_success, 3))


def _readings(report: Report) -> Iterator[Sample]:
    for reading in (*report.snapshot.readings, *report.snapshot.xids):
        for sample in reading.samples:
            yield Sample(sample.metric, sample.value, reading.labels + sample.labels)
