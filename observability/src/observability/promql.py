"""Building blocks of PromQL expressions.

Every selector names its `job`, since different exporters can use the same metric name. Every denominator is filtered
with `> 0`, so that "no traffic" is an empty result and not NaN.
"""

import re
from dataclasses import dataclass, field

from observability import settings

_METRIC_NAME = re.compile(r"([A-Za-z_:][\w:]*)\{")
_PLAIN_JOB = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Scope:
    """The time window and the label filters of a query.

    Attributes:
        window: the range over which counters become rates: a duration, or Grafana's $__rate_interval.
        filters: a regular expression for each dashboard variable; empty for alerts.
        without_drill: whether the series that `make drill` adds are left out, as on dashboards.
    """

    window: str
    filters: dict[str, str] = field(default_factory=dict)
    without_drill: bool = False

    def series(self, name: str, job: str, *matchers: str, **labels: str) -> str:
        """A selector. `labels` maps a variable to this metric's label for it: model="model_name".

        `job` is a name, or a regular expression that matches several.
        """
        job_matcher = f'job="{job}"' if _PLAIN_JOB.fullmatch(job) else f'job=~"{job}"'
        filters = [f'{label}=~"{self.filters[key]}"' for key, label in labels.items() if key in self.filters]
        drill = [f'vm!="{settings.DRILL_VM}"'] if self.without_drill else []
        return name + "{" + ", ".join([job_matcher, *matchers, *filters, *drill]) + "}"

    def rate(self, selector: str) -> str:
        """The per-second rate over the window."""
        return f"rate({selector}[{self.window}])"


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
