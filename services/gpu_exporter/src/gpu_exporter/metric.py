"""A metric, and one value of it."""

from dataclasses import dataclass
from typing import Literal

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
    """A value of a metric; `labels` come after those of its GPU."""

    metric: Metric
    value: float
    labels: tuple[Label, ...] = ()
