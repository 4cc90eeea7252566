"""docs/metrics.md lists every metric of the GPU exporter, in the order of its page, and no other."""

from collections.abc import Iterator
from pathlib import Path

from gpu_exporter import exposition, processes, xid
from gpu_exporter.catalogue import TABLE
from gpu_exporter.group import Group
from gpu_exporter.metric import Metric

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def _metrics() -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Each with the labels that it has beside those of its GPU."""
    own = (exposition.UP, exposition.VISIBLE, exposition.EXPECTED, exposition.REPLAY, exposition.DURATION)
    for metric in (*own, exposition.LAST_SUCCESS):
        yield metric, ()
    for collector in TABLE:
        if isinstance(collector, Group):
            for row in collector.rows:
                yield row.metric, tuple(name for name, _ in row.labels)
    yield processes.METRIC, ("pid", "name")
    yield xid.LAST, ()
    yield from ((metric, ("xid",)) for metric in (xid.TOTAL, xid.WHEN))


def test_the_page_is_the_table() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(("| `DCGM_", "| `gpu_"))]
    expected = dict.fromkeys(
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in labels)} | {metric.help} |"
        for metric, labels in _metrics()
    )
    assert rows == list(expected), "docs/metrics.md should read:\n" + "\n".join(expected)
