"""A report in Prometheus' text format.

Written by hand: prometheus-client appends `_total` to the name of every counter, and DCGM's have none.
"""

from collections.abc import Iterable, Iterator

from gpu_exporter.metric import Label, Metric, Sample
from gpu_exporter.report import Report

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

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
    """Write a report as metrics; what could not be read is absent."""
    samples: list[tuple[Sample, tuple[Label, ...]]] = [(sample, ()) for sample in _own(report)]
    for reading in (*report.snapshot.readings, *report.snapshot.xids):
        samples += [(sample, reading.labels + sample.labels) for sample in reading.samples]
    return "".join(f"{line}\n" for line in _lines(samples))


def _own(report: Report) -> Iterator[Sample]:
    yield Sample(UP, int(report.up))
    yield Sample(VISIBLE, len(report.snapshot.readings))
    yield Sample(EXPECTED, report.expected)
    yield Sample(REPLAY, 0)
    yield Sample(DURATION, round(report.snapshot.seconds, 6))
    if report.last_success is not None:
        yield Sample(LAST_SUCCESS, round(report.last_success, 3))


def _lines(samples: Iterable[tuple[Sample, tuple[Label, ...]]]) -> Iterator[str]:
    # The format wants all series of a metric together, those of several GPUs too.
    series: dict[Metric, list[str]] = {}
    for sample, labels in samples:
        series.setdefault(sample.metric, []).append(f"{sample.metric.name}{_labels(labels)} {sample.value}")
    for metric, lines in series.items():
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} {metric.kind}"
        yield from lines


def _labels(labels: tuple[Label, ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
