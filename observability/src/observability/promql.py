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
    return f"{parts} / on () group_left () ({whole} > 0)"


def quantile(number: float, bucket_rates: str, *labels: str) -> str:
    """A quantile of a histogram; empty, rather than NaN, when the window holds no observation."""
    return f"histogram_quantile({number}, {total(bucket_rates, 'le', *labels)}) >= 0"


def metric_names(expression: str) -> list[str]:
    """The metrics in an expression, in order. Relies on every selector of this package having matchers."""
    return list(dict.fromkeys(_METRIC_NAME.findall(expression)))
