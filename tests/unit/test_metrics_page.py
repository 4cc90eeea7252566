"""docs/metrics.md lists every metric of the gateway as it is defined, and no other."""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from gateway.telemetry.metrics import Metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def _rows() -> Iterator[str]:
    metrics = vars(Metrics(CollectorRegistry())).values()
    for metric in metrics:
        assert isinstance(metric, MetricWrapperBase)
        suffix = "_total" if metric._type == "counter" else ""
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        yield f"| `{metric._name}{suffix}` | {metric._type} | {labels} | {metric._documentation} |"


def test_the_document_lists_every_metric_as_defined() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `gateway_")]
    expected = list(_rows())
    assert rows == expected, "docs/metrics.md should read:\n" + "\n".join(expected)
