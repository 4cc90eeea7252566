"""Series that Prometheus records twice, of a short and of a long step: a graph reads the one that its points need.

Seven days of a sample a minute are 10,000 samples of a series, of which a graph shows 200 points. Prometheus cannot
choose a series by the step of a query, but a label matcher can: both series have a label that lists the intervals
between two points, as Grafana writes them (`$__interval`), for which the long steps are read.
"""

import re
from collections.abc import Callable

from observability.promql import Scope

LABEL = "downsampled_at"
LONG_STEP_SECONDS = 900
# Grafana rounds the interval between two points to one of these, or to a shorter one.
INTERVALS = ("15m", "20m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "7d", "30d", "1y")
LABELS = {LABEL: f" {' '.join(INTERVALS)} "}
# What the name of a recorded series ends with, and how long steps are made of its short ones.
_SUFFIX = re.compile(r":(increase|count|max|min)(1m|15s)$")
_LONG_SUFFIX = r":\g<1>15m"
_MADE_BY = {"increase": "sum", "count": "sum", "max": "max", "min": "min"}


def is_downsampled(name: str) -> bool:
    """Whether a series is recorded of long steps too."""
    return bool(_SUFFIX.search(name))


def long_steps(name: str) -> str:
    """The name of the same series of long steps."""
    return _SUFFIX.sub(_LONG_SUFFIX, name)


def made_by(name: str) -> str:
    """What makes long steps of a series: sum, max or min.

    Raises:
        ValueError: the series is not downsampled.
    """
    if (match := _SUFFIX.search(name)) is None:
        raise ValueError(f"{name} has no long steps.")
    return _MADE_BY[match[1]]


def read(
    scope: Scope, name: str, query: Callable[[str, int], str], short_step: int, *matchers: str, **labels: str
) -> str:
    """An expression of whichever series the interval between two points needs; that of short steps without intervals.

    Args:
        scope: its window and filters.
        name: the series of short steps.
        query: makes the expression from a selector and the seconds of a step; it must aggregate LABEL away.
        short_step: in seconds.
        matchers: of labels.
        labels: a variable's name and this metric's label for it, as in `Scope.series`.
    """
    if not scope.interval:
        return query(scope.recorded(name, *matchers, **labels), short_step)
    listed = f'~".* {scope.interval} .*"'
    short = scope.recorded(name, f"{LABEL}!{listed}", *matchers, **labels)
    long = scope.recorded(long_steps(name), f"{LABEL}={listed}", *matchers, **labels)
    return f"({query(short, short_step)} or {query(long, LONG_STEP_SECONDS)})"
