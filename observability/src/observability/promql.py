"""Building blocks of PromQL expressions.

Every selector names its `job`, since different exporters can use the same metric name. Every denominator is filtered
with `> 0`, so that "no traffic" is an empty result and not NaN.
"""

import re
from dataclasses import dataclass, field, replace

from observability import settings

# The value of a tile whose target cannot be scraped; nothing that is measured has it.
NOT_SCRAPED = -1_000_000_000
# The value of a tile for which there was traffic, but too little for a ratio that means anything.
TOO_LITTLE = -2_000_000_000
_METRIC_NAME = re.compile(r"([A-Za-z_:][\w:]*)\{")
_PLAIN_JOB = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Scope:
    """The time window and the label filters of a query.

    Attributes:
        window: the range over which counters become rates: a duration, or Grafana's $__rate_interval.
        filters: a regular expression for each dashboard variable; empty for alerts.
        offset: how long before the evaluated time the window ends, such as 1d; empty for none.
        extremes: a gauge is represented by its highest or lowest value in the window. Without it, by its latest
            sample: then a graph over seven days shows one sample in ten minutes, and misses what is shorter.
        interval: Grafana's interval between two points, by which series of short or of long steps are read (see
            `downsampling`); empty for short steps.
        without_drill: whether the series that `make drill` adds are left out, as on dashboards.
    """

    window: str
    filters: dict[str, str] = field(default_factory=dict)
    offset: str = ""
    extremes: bool = False
    interval: str = ""
    without_drill: bool = False

    def series(self, name: str, job: str, *matchers: str, **labels: str) -> str:
        """A selector. `labels` maps a variable to this metric's label for it: model="model_name".

        `job` is a name, or a regular expression that matches several.
        """
        job_matcher = f'job="{job}"' if _PLAIN_JOB.fullmatch(job) else f'job=~"{job}"'
        return name + "{" + ", ".join([job_matcher, *matchers, *self._filters(labels)]) + "}"

    def recorded(self, name: str, *matchers: str, **labels: str) -> str:
        """A selector of a recorded series, which has no job."""
        return name + "{" + ", ".join([*matchers, *self._filters(labels)]) + "}"

    def _filters(self, labels: dict[str, str]) -> list[str]:
        filters = [f'{label}=~"{self.filters[key]}"' for key, label in labels.items() if key in self.filters]
        return [*filters, f'vm!="{settings.DRILL_VM}"'] if self.without_drill else filters

    def rate(self, selector: str) -> str:
        """The per-second rate over the window."""
        return f"rate({self.over(selector)})"

    def increase(self, selector: str) -> str:
        """The increase over the window, extrapolated to its ends."""
        return f"increase({self.over(selector)})"

    def count(self, increases: str) -> str:
        """What happened in the window, from a series of increases between evaluations: exact, not extrapolated."""
        return f"sum_over_time({self.over(increases)})"

    def over(self, selector: str) -> str:
        """The range vector of a selector over the window."""
        return f"{selector}[{self.window}]{self._shift}"

    def highest(self, selector: str) -> str:
        """A gauge's highest value in the window, or its latest sample."""
        return f"max_over_time({self.over(selector)})" if self.extremes else selector + self._shift

    def lowest(self, selector: str) -> str:
        """A gauge's lowest value in the window, or its latest sample."""
        return f"min_over_time({self.over(selector)})" if self.extremes else selector + self._shift

    def before(self, offset: str) -> "Scope":
        """The same window an `offset` earlier: yesterday (1d), last week (7d)."""
        return replace(self, offset=offset)

    @property
    def _shift(self) -> str:
        return f" offset {self.offset}" if self.offset else ""


def total(expression: str, *labels: str) -> str:
    """The sum by these labels."""
    return f"sum by ({', '.join(labels)}) ({expression})" if labels else f"sum({expression})"


def share(part: str, whole: str) -> str:
    """A ratio, empty when the denominator is zero."""
    return f"{part} / ({whole} > 0)"


def mean(scope: Scope, histogram: str, job: str, *by: str, **labels: str) -> str:
    """The mean of a histogram's observations in the window; exact, where a quantile is interpolated."""
    whole, count = (
        total(scope.rate(scope.series(f"{histogram}_{suffix}", job, **labels)), *by) for suffix in ("sum", "count")
    )
    return share(whole, count)


def share_of_each(parts: str, whole: str) -> str:
    """The ratio of each of several series to one scalar series."""
    return per_scalar(parts, "/", f"({whole} > 0)")


def per_scalar(parts: str, operator: str, scalar: str) -> str:
    """Each of several series, divided or multiplied by one series without labels."""
    return f"{parts} {operator} on () group_left () {scalar}"


def quantile(number: float, bucket_rates: str, *labels: str) -> str:
    """A quantile of a histogram; empty, rather than NaN, when the window holds no observation."""
    return f"histogram_quantile({number}, {total(bucket_rates, 'le', *labels)}) >= 0"


def or_not_scraped(expression: str, job: str, scope: Scope) -> str:
    """The expression, or NOT_SCRAPED if it is empty while no target of the job can be scraped."""
    down = f"absent({scope.series('up', job, vm='vm')} == 1)"
    return f"({expression}) or on () ({down} * {NOT_SCRAPED})"


def or_down(expression: str, job: str, scope: Scope) -> str:
    """The expression, or NOT_SCRAPED while a job that there is cannot be scraped; a stack may not have the job."""
    return f"({expression}) or on () (max({scope.series('up', job, vm='vm')}) == 0) + {NOT_SCRAPED}"


def or_zero_while_up(expression: str, job: str, scope: Scope) -> str:
    """The expression, or 0 where it is empty while the job is scraped."""
    return f"({expression}) or on () 0 * (max({scope.series('up', job, vm='vm')}) == 1)"


def or_too_little(expression: str, amount: str) -> str:
    """The expression, or TOO_LITTLE where it is empty although there was some amount; both without labels."""
    return f"({expression}) or on () 0 * ({amount} > 0) + {TOO_LITTLE}"


def topk(count: int, expression: str) -> str:
    """The series with the largest values."""
    return f"topk({count}, {expression})"


def metric_names(expression: str) -> list[str]:
    """The metrics in an expression, in order. Relies on every selector of this package having matchers."""
    return list(dict.fromkeys(_METRIC_NAME.findall(expression)))


def increase_between_evaluations(selector: str, job: str, interval_s: int, delay_s: int, gap: str) -> str:
    """What counters gained between two evaluations of a rule, to the event: such increases can be added up.

    `increase` cannot: it extrapolates, and what was counted between the last sample of one window and the first of the
    next is in neither. A counter that fell has started anew from 0, and so has one that is new in a target that was
    scraped before. What was counted while a target could not be scraped is in the first increase after it.

    Args:
        selector: the counters.
        job: their job.
        interval_s: how often the rule is evaluated.
        delay_s: how old a sample must be, at least as long as a scrape takes. A sample is stored under the time at
            which its scrape began: a younger one may be missing now and be too old at the next evaluation.
        gap: how long scrapes may be missing; what was counted in a longer gap is lost.
    """
    latest = f"({selector}[{interval_s}s] offset {delay_s}s)"
    now, highest = f"last_over_time{latest}", f"max_over_time{latest}"
    earlier = f"offset {interval_s + delay_s}s"
    before = f"last_over_time({selector}[{gap}] {earlier})"
    new = f'{now} and on (job, instance, vm) (up{{job="{job}"}} {earlier}) == 1'
    # Where it fell: its highest value, which it had before it fell, and what it has now.
    return f"{now} - ({before} <= {now} or clamp_max({before} - {highest}, 0) or 0 * ({new}))"
