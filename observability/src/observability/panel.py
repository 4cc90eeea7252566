"""A panel: a question, its queries, and how the result is displayed."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from observability.promql import NOT_SCRAPED, metric_names, or_not_scraped, topk
from observability.variables import Variables

Kind = Literal["stat", "timeseries", "state-timeline", "table", "bargauge", "alertlist", "heatmap"]
# Why a panel can be empty although the stack is healthy and under load.
Needs = Literal["", "needs-gpu", "needs-fault", "needs-store", "needs-lora", "needs-mig", "needs-canary"]

# A part that not every shape of the stack has; rows and panels of one that is missing are left out: see `shapes`.
Part = Literal["", "vllm", "llamacpp", "gpu"]

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "#EAB839", "orange", "red", "blue", "#8e8e8e"
# Kinds that show one current value per series.
INSTANT_KINDS: tuple[Kind, ...] = ("stat", "table", "bargauge")
STAT_WIDTH = 4
# The unit of numbers of which every digit counts: with "short" and no decimals, Grafana shows 1,327 as "1 K".
COUNT = "locale"
# The gateway's names for models without series of their own, and what they are called where people read them.
MODEL_TEXTS = (("none", "(no model)", ""), ("other", "(unknown model)", ""))
# The end of the title of a tile that covers the selected time range. Every other tile shows the present, or names its
# window: (5m), (1h), (3d).
RANGE_SUFFIX = " (range)"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and the name of its series; `{{label}}` is filled in by Grafana.

    Attributes:
        expr: PromQL.
        legend: series name in a graph, column heading in a table.
        unit: unit of the table column, where it differs from the panel's.
        dashed: drawn as a dashed line without fill, never stacked: a limit, or another day for comparison.
        colour: of the series in a graph; empty for the panel's own colours.
    """

    expr: str
    legend: str
    unit: str = ""
    dashed: bool = False
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A table column that holds a label.

    Attributes:
        label: its name in the result.
        title: the column heading.
        drilldown: uid of the dashboard that a click on the cell opens, filtered to it.
        variable: the variable to set there.
        width: in pixels; None shares the remaining width.
        url: another page that a click on the cell opens, in a new tab; `${__value.raw}` is the label.
        link: what the link says.
        texts: (label, text, colour) of labels that are shown as another text; the colour may be empty.
    """

    label: str
    title: str
    drilldown: str = ""
    variable: str = ""
    width: int | None = None
    url: str = ""
    link: str = ""
    texts: tuple[tuple[str, str, str], ...] = ()


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
        step_seconds: the shortest time between two points, for recorded series: how often they are evaluated.
        sparkline: PromQL of a stat's course over the selected time range, behind its number; without labels.
        part: the part of the stack without which the panel is left out; empty for the parts of every shape.
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
    step_seconds: int = 0
    sparkline: str = ""
    part: Part = ""
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
heatmap = partial(Panel, "heatmap")
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
    sparkline: str = "",
    step_seconds: int = 0,
    part: Part = "",
    job: str = "",
) -> Panel:
    """A single number, coloured by its thresholds; the title of one over the selected time range says so.

    `sparkline` is PromQL of its course, drawn behind the number; `step_seconds` how often that is recorded. With `job`,
    it says that this job is not scraped where that is why there is no number: "No traffic" would read as if nobody were
    there.
    """
    if "$__range" in expr and not title.endswith(RANGE_SUFFIX):
        title += RANGE_SUFFIX
    if job:
        expr = or_not_scraped(expr, job, Variables("vm").now)
        value_mappings = (*value_mappings, (NOT_SCRAPED, f"{job} not scraped", RED))
    if sparkline:
        # The latest value is the last point of the course: without one, the point before would be shown as the latest.
        expr = f"{expr} or on () vector(NaN)"
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
        sparkline=sparkline,
        step_seconds=step_seconds,
        part=part,
    )


def largest(count: int, label: str, queries: tuple[Query, ...]) -> tuple[Query, ...]:
    """The columns of a table, limited to the rows with the largest values of the first column.

    Args:
        count: how many rows.
        label: the label that tells rows apart.
        queries: the columns; each has the label.
    """
    first, *others = queries
    top = topk(count, first.expr)
    return (
        replace(first, expr=top),
        *(replace(query, expr=f"({query.expr}) and on ({label}) {top}") for query in others),
    )
