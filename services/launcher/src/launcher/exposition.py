"""Metrics in Prometheus' text format, of values that are read at the moment of a scrape.

Written by hand for two reasons: prometheus-client appends `_total` to the name of every counter, and DCGM's have none;
and a launcher runs inside its engine's image, with as few packages as possible.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["gauge", "counter"]
Label = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """Name, type and one line of help that gives the unit."""

    name: str
    kind: Kind
    help: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a metric."""

    metric: Metric
    value: float
    labels: tuple[Label, ...] = ()


def render(samples: Iterable[Sample], *, declared: Iterable[Metric] = ()) -> str:
    """Write samples as text; metrics keep the order in which they first appear.

    Args:
        samples: the values.
        declared: metrics that are described first, and even when they have no sample.
    """
    return "".join(f"{line}\n" for line in _lines(samples, declared))


def _lines(samples: Iterable[Sample], declared: Iterable[Metric]) -> Iterator[str]:
    # The format wants all series of a metric together.
    series: dict[Metric, list[str]] = {metric: [] for metric in declared}
    for sample in samples:
        name = sample.metric.name
        series.setdefault(sample.metric, []).append(f"{name}{_label_set(sample.labels)} {sample.value}")
    for metric, lines in series.items():
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} {metric.kind}"
        yield from lines


def _label_set(labels: tuple[Label, ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
