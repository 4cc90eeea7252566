"""A panel: a question, its queries, and how the answer is drawn."""

from dataclasses import dataclass, field
from typing import Literal

from observability.promql import metric_names

Kind = Literal["stat", "timeseries", "state-timeline"]

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "#EAB839", "orange", "red", "blue", "#8e8e8e"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and how its series are named; `{{label}}` is Grafana's."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which value on a colour holds; `base` holds below all of them, and "text" is no colour."""

    base: str = "text"
    steps: tuple[tuple[float, str], ...] = ()

    @classmethod
    def high_is_bad(cls, notable: float, bad: float) -> "Thresholds":
        """Green, yellow from `notable`, red from `bad`."""
        return cls(GREEN, ((notable, YELLOW), (bad, RED)))

    @classmethod
    def low_is_bad(cls, bad: float, good: float) -> "Thresholds":
        """Red, yellow from `bad`, green from `good`."""
        return cls(RED, ((bad, YELLOW), (good, GREEN)))

    @classmethod
    def notable(cls, value: float) -> "Thresholds":
        """Yellow from `value`: worth a look, and no fault by itself."""
        return cls("text", ((value, YELLOW),))


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: unique in its dashboard; alerts name a panel by it.
        question: what an operator asks; the first line of the description.
        blind_spot: what the answer does not show.
        unit: an id of Grafana's: s, reqps, percentunit, mbytes (MiB) …
        width: in 24ths of the page.
        nothing: shown instead of an empty answer; says what emptiness means here.
        words: value, word, colour: shown instead of a number.
        colours: colours of series, by their name; the others take Grafana's palette.
        smooth: rates over at least half a minute, for quantiles and shares, which a few requests make jump.
    """

    kind: Kind
    title: str
    question: str
    blind_spot: str
    unit: str
    width: int
    queries: tuple[Query, ...]
    nothing: str = "No traffic"
    thresholds: Thresholds = field(default_factory=Thresholds)
    words: tuple[tuple[int, str, str], ...] = ()
    colours: tuple[tuple[str, str], ...] = ()
    minimum: float | None = 0
    maximum: float | None = None
    decimals: int | None = None
    stacked: bool = False
    smooth: bool = False

    @property
    def description(self) -> str:
        """The question, the metrics, and what they cannot show."""
        metrics = dict.fromkeys(name for query in self.queries for name in metric_names(query.expr))
        reads = ", ".join(f"`{name}`" for name in metrics)
        return f"{self.question}\n\nReads: {reads}.\n\nBlind spot: {self.blind_spot}"
