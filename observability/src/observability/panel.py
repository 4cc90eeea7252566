"""A panel: a question, its queries, and how the result is displayed."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from observability.promql import metric_names

Kind = Literal["stat", "timeseries", "state-timeline", "table", "bargauge", "alertlist"]
# Why a panel can be empty although the stack is healthy and under load.
Needs = Literal["", "needs-gpu", "needs-fault", "needs-store", "needs-canary"]

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "#EAB839", "orange", "red", "blue", "#8e8e8e"
# Kinds that show one current value per series.
INSTANT_KINDS: tuple[Kind, ...] = ("stat", "table", "bargauge")
STAT_WIDTH = 4


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and the name of its series; `{{label}}` is filled in by Grafana.

    Attributes:
        expr: PromQL.
        legend: series name in a graph, column heading in a table.
        unit: unit of the table column, where it differs from the panel's.
    """

    expr: str
    legend: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A table column that holds a label.

    Attributes:
        label: its name in the result.
        title: the column heading.
        drilldown: uid of the dashboard that a click on the cell opens, filtered to it.
        variable: the variable to set there.
        width: in pixels; None shares the remaining width.
    """

    label: str
    title: str
    drilldown: str = ""
    variable: str = ""
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Colours by value; `base` applies below the first step, and "text" is the neutral text colour."""

    base: str = "text"
    steps: tuple[tuple[float, str], ...] = ()

    @classmethod
    def high_is_bad(cls, warn: float, critical: float) -> "Thresholds":
        """Green, yellow from `warn`, red from `critical`."""
        return cls(GREEN, ((warn, YELLOW), (critical, RED)))

    @classmethod
    def low_is_bad(cls, critical: float, good: float) -> "Thresholds":
        """Red, yellow from `critical`, green from `good`."""
        return cls(RED, ((critical, YELLOW), (good, GREEN)))

    @classmethod
    def warn(cls, value: float) -> "Thresholds":
        """Yellow from `value`: worth a look, not a fault by itself."""
        return cls("text", ((value, YELLOW),))

    @classmethod
    def limit(cls, value: float) -> "Thresholds":
        """A red line in a graph."""
        return cls("text", ((value, RED),))


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: unique within its dashboard; alerts refer to it.
        question: what an operator asks; the first line of the description.
        blind_spot: what the result does not show.
        unit: a Grafana unit id: s, reqps, percentunit, mbytes (MiB) …
        width: in 24ths of the dashboard.
        action: what to do when the value is bad.
        drilldown: uid of the dashboard with the details.
        needs: why it can be empty on a healthy stack under load; a test allows at most ten such panels.
        keys: label columns of a table.
        no_value: text shown for an empty result; says what empty means here.
        value_mappings: (value, text, colour): text shown instead of a number.
        colours: colours of series, by name or /pattern/; all others take Grafana's palette.
        soft_max: the axis reaches at least this far, so that small values look small; defaults by unit.
        smooth: rates over at least half a minute, for quantiles and ratios, which jump when requests are few.
    """

    kind: Kind
    title: str
    question: str
    blind_spot: str
    unit: str
    width: int
    queries: tuple[Query, ...]
    no_value: str = "No traffic"
    thresholds: Thresholds = field(default_factory=Thresholds)
    value_mappings: tuple[tuple[int, str, str], ...] = ()
    colours: tuple[tuple[str, str], ...] = ()
    minimum: float | None = 0
    maximum: float | None = None
    decimals: int | None = None
    stacked: bool = False
    soft_max: float | None = None
    smooth: bool = False
    action: str = ""
    drilldown: str = ""
    needs: Needs = ""
    keys: tuple[Key, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that its queries read, in order."""
        return tuple(dict.fromkeys(name for query in self.queries for name in metric_names(query.expr)))

    @property
    def description(self) -> str:
        """The question, the metrics, the blind spot, and what to do."""
        reads = ", ".join(f"`{name}`" for name in self.metrics) or "Grafana's own alerts"
        action = f"\n\nWhat to do: {self.action}" if self.action else ""
        return f"{self.question}\n\nReads: {reads}.\n\nBlind spot: {self.blind_spot}{action}"


# Constructors by kind; arguments: title, question, blind spot, unit, width, queries.
graph = partial(Panel, "timeseries")
table = partial(Panel, "table")
timeline = partial(Panel, "state-timeline")


def stat(
    title: str,
    question: str,
    blind_spot: str,
    unit: str,
    expr: str,
    thresholds: Thresholds | None = None,
    *,
    no_value: str = "No traffic",
    value_mappings: tuple[tuple[int, str, str], ...] = (),
    maximum: float | None = None,
    minimum: float | None = 0,
    decimals: int | None = None,
    action: str = "",
    drilldown: str = "",
    needs: Needs = "",
    width: int = STAT_WIDTH,
) -> Panel:
    """A single number, coloured by its thresholds."""
    return Panel(
        kind="stat",
        title=title,
        question=question,
        blind_spot=blind_spot,
        unit=unit,
        width=width,
        queries=(Query(expr, title),),
        no_value=no_value,
        thresholds=thresholds or Thresholds(),
        value_mappings=value_mappings,
        maximum=maximum,
        minimum=minimum,
        decimals=decimals,
        action=action,
        drilldown=drilldown,
        needs=needs,
    )
