"""A panel: a question, its queries, and how the answer is drawn."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from observability.promql import metric_names

Kind = Literal["stat", "timeseries", "state-timeline", "table", "bargauge", "alertlist"]
# Why a panel may be empty while the stack is loaded and well.
Needs = Literal["", "needs-gpu", "needs-fault", "needs-store"]

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "#EAB839", "orange", "red", "blue", "#8e8e8e"
# Kinds that show one number a series: that of now.
OF_NOW: tuple[Kind, ...] = ("stat", "table", "bargauge")


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and how its series are named; `{{label}}` is Grafana's.

    Attributes:
        expr: in PromQL.
        legend: of a graph; in a table the heading of its column.
        unit: of its column, where that is not the table's.
    """

    expr: str
    legend: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A column of a table that holds a label.

    Attributes:
        label: its name in the answer.
        title: the column's heading.
        opens: uid of the dashboard that a click on the cell opens, narrowed down to it.
        variable: the variable there.
        width: of the column, in pixels; None shares out what the others leave.
    """

    label: str
    title: str
    opens: str = ""
    variable: str = ""
    width: int | None = None


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

    @classmethod
    def limit(cls, value: float) -> "Thresholds":
        """A red line in a graph."""
        return cls("text", ((value, RED),))


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: unique in its dashboard; alerts name a panel by it.
        question: what an operator asks; the first line of the description.
        blind_spot: what the answer does not show.
        unit: an id of Grafana's: s, reqps, percentunit, mbytes (MiB) …
        width: in 24ths of the page.
        then: what to do when the answer is bad.
        opens: uid of the dashboard that tells more.
        needs: why it may be empty on a loaded stack that is well; at most ten panels have a reason.
        keys: of a table: its columns of labels.
        nothing: shown instead of an empty answer; says what emptiness means here.
        words: value, word, colour: shown instead of a number.
        colours: colours of series, by their name or by a /pattern/; the others take Grafana's palette.
        reaches: up to where an axis reaches at least, so that what is little looks little; by default by the unit.
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
    reaches: float | None = None
    smooth: bool = False
    then: str = ""
    opens: str = ""
    needs: Needs = ""
    keys: tuple[Key, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it reads, in the order in which its queries name it."""
        return tuple(dict.fromkeys(name for query in self.queries for name in metric_names(query.expr)))

    @property
    def description(self) -> str:
        """The question, the metrics, what they cannot show, and what to do."""
        reads = ", ".join(f"`{name}`" for name in self.metrics) or "Grafana's own alerts"
        then = f"\n\nWhat to do: {self.then}" if self.then else ""
        return f"{self.question}\n\nReads: {reads}.\n\nBlind spot: {self.blind_spot}{then}"


# By their kinds; then come title, question, blind spot, unit, width and queries.
graph = partial(Panel, "timeseries")
table = partial(Panel, "table")
timeline = partial(Panel, "state-timeline")
