"""docs/metrics.md lists every metric of the GPU exporter, in the order of its exposition, and no other."""

from collections.abc import Iterator
from pathlib import Path

from gpu_exporter import processes, xid_counters
from gpu_exporter.collector import CallCollector
from gpu_exporter.collectors import COLLECTORS
from gpu_exporter.report_metrics import DURATION, EXPECTED, LAST_SUCCESS, REPLAY, UP, VISIBLE
from launcher.exposition import Metric

REFERENCE = Path(__file__).parents[3] / "docs" / "metrics.md"


def _metrics() -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Each with the labels that it has beside those of its GPU."""
    for metric in (UP, VISIBLE, EXPECTED, REPLAY, DURATION, LAST_SUCCESS):
        yield metric, ()
    for collector in COLLECTORS:
        if isinstance(collector, CallCollector):
            for field in collector.fields:
                yield field.metric, tuple(name for name, _ in field.labels)
    yield processes.METRIC, ("pid", "name")
    yield xid_counters.LAST_XID, ()
    yield from ((metric, ("xid",)) for metric in (xid_counters.TOTAL, xid_counters.LAST_TIMESTAMP))


def test_the_reference_lists_every_metric() -> None:
    rows = [
        line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line.startswith(("| `DCGM_", "| `gpu_"))
    ]
    expected = dict.fromkeys(
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in labels)} | {metric.help} |"
        for metric, labels in _metrics()
    )
    assert rows == list(expected), "docs/metrics.md should read:\n" + "\n".join(expected)
