"""A group of recording rules."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that Prometheus evaluates together.

    Attributes:
        name: unique, e.g. glasshouse-slo.
        interval_seconds: how often they are evaluated.
        series: the expression of each recorded series, evaluated in this order: a rule may use those before it.
    """

    name: str
    interval_seconds: int
    series: dict[str, str]
