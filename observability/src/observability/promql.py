"""The words that every query is made of.

Each series is selected with its `job`, since engines export names that other parts could have too, and each denominator
is `> 0`, so that "no traffic" is an empty answer and not a NaN.
"""

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"([A-Za-z_:][\w:]*)\{")
_ONE_JOB = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query looks at.

    Attributes:
        window: over which counters are turned into rates: a duration, or Grafana's $__rate_interval.
        filters: a regular expression for each label that the reader may narrow down; none for alerts.
    """

    window: str
    filters: dict[str, str] = field(default_factory=dict)

    def series(self, name: str, job: str, *matchers: str, **labels: str) -> str:
        """A selector. `labels` says under which label of this metric a filter applies: model="model_name".

        `job` is a name, or a regular expression for several.
        """
        matched = f'job="{job}"' if _ONE_JOB.fullmatch(job) else f'job=~"{job}"'
        chosen = [f'{label}=~"{self.filters[key]}"' for key, label in labels.items() if key in self.filters]
        return name + "{" + ", ".join([matched, *matchers, *chosen]) + "}"

    def rate(self, selector: str) -> str:
        """Per second, over the window."""
        return f"rate({selector}[{self.window}])"


def total(expression: str, *labels: str) -> str:
    """The sum by the labels."""
    return f"sum by ({', '.join(labels)}) ({expression})" if labels else f"sum({expression})"


def share(part: str, whole: str) -> str:
    """A ratio that is absent when there is nothing to divide by."""
    return f"{part} / ({whole} > 0)"


def mean(scope: "Scope", histogram: str, job: str, *by: str, **labels: str) -> str:
    """The mean of what a histogram observed in the window; exact, where a quantile is interpolated."""
    whole, count = (
        total(scope.rate(scope.series(f"{histogram}_{end}", job, **labels)), *by) for end in ("sum", "count")
    )
    return share(whole, count)


def share_of_each(parts: str, whole: str) -> str:
    """The ratio of several series to one number, each with its own labels."""
    return f"{parts} / on () group_left () ({whole} > 0)"


def quantile(number: float, bucket_rates: str, *labels: str) -> str:
    """A quantile of a histogram; absent, rather than NaN, when nothing was observed in the window."""
    return f"histogram_quantile({number}, {total(bucket_rates, 'le', *labels)}) >= 0"


def metric_names(expression: str) -> list[str]:
    """The metrics that an expression reads, in their order. Every one of ours is followed by its matchers."""
    return list(dict.fromkeys(_NAME.findall(expression)))
