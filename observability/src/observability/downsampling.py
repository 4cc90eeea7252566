"""Series that Prometheus records twice, of a short and of a long step: a graph reads the one that its points need.

Seven days of a sample a minute are 10,000 samples of a series, of which a graph shows 200 points. Prometheus cannot
choose a series by the step of a query, but a label matcher can: both series have a label that lists the intervals
between two points, as Grafana writes them (`$__interval`), for which the long steps are read.
"""

import re
from collections.abc import Callable

from observability import variables
from observability.promql import Scope, total

LABEL = "downsampled_at"
LONG_STEP_SECONDS = 900
# Grafana rounds the interval between two points to one of these, or to a shorter one.
INTERVALS = ("15m", "20m", "30m", "1h", "2h", "3h", "6h", "12h", "1d", "7d", "30d", "1y")
_LABELS = {LABEL: f" {' '.join(INTERVALS)} "}
# A series by model or by key has long steps of all models or keys together too, which are read where none is chosen:
# sixteen models have sixteen times the samples. How its name begins: the variable, which is also a label of it, and how
# the name of all together begins.
_SPLIT = {"model": ("model", "vm"), "route": ("model", "vm_route"), "key": ("key", "all_keys")}
_SPLIT_NAME = re.compile(rf"^({'|'.join(_SPLIT)}):(.*:increase)")
# For descriptions of panels.
STEPS = "in steps of a minute, or of 15 minutes over ranges of days"
# What the name of a recorded series ends with, and how long steps are made of its short ones.
# Not those of 15 s that service levels count: alerts read them, and a label would be in their messages.
_SUFFIX = re.compile(r":(increase|count|max|min|avg)(1m|15s)(?<!:increase15s)$")
_LONG_SUFFIX = r":\g<1>15m"
_SECONDS = {"15s": 15, "1m": 60}
_MADE_BY = {"increase": "sum", "count": "sum", "max": "max", "min": "min", "avg": "avg"}


def is_downsampled(name: str) -> bool:
    """Whether a series is recorded of long steps too."""
    return bool(_SUFFIX.search(name))


def long_steps(name: str) -> str:
    """The name of the same series of long steps."""
    return _SUFFIX.sub(_LONG_SUFFIX, name)


def labels(name: str) -> dict[str, str]:
    """The labels by which a series is selected, on its short steps; its long steps keep them."""
    if not is_downsampled(name):
        return {}
    return _LABELS | ({all_label(variable): variables.ALL_VALUE} if (variable := split_by(name)) else {})


def split_by(name: str) -> str:
    """The variable of whose values a series of increases is recorded together too: model, key, or empty for none."""
    return _SPLIT[match[1]][0] if (match := _SPLIT_NAME.match(name)) else ""


def all_label(variable: str) -> str:
    """The label that selects the series of all values of a variable: its value is what Grafana puts in its place."""
    return f"all_{variable}s"


def of_all(name: str) -> str:
    """The name of the long steps of all models or keys together."""
    return _SPLIT_NAME.sub(lambda match: f"{_SPLIT[match[1]][1]}:{match[2]}", long_steps(name))


def made_by(name: str) -> str:
    """What makes long steps of a series: sum, max, min or avg."""
    return _MADE_BY[_suffix(name)[1]]


def step_seconds(name: str) -> int:
    """The step of a series that is downsampled."""
    return _SECONDS[_suffix(name)[2]]


def count(scope: Scope, name: str, *matchers: str, by: tuple[str, ...] = (), **labels: str) -> str:
    """What came in the window, of a recorded series of increases.

    Args:
        scope: its window and filters. Without an interval between two points the short steps are read.
        name: the series of short steps.
        matchers: of labels.
        by: labels of the result.
        labels: a variable's name and this metric's label for it, as in `Scope.series`.
    """

    def added_up(increases: str, _: int) -> str:
        return total(scope.count(increases), *by)

    return _read(scope, name, added_up, *matchers, by=by, **labels)


def per_second(scope: Scope, name: str, *matchers: str, by: tuple[str, ...] = (), **labels: str) -> str:
    """The mean rate in the window, of a recorded series of increases; arguments as of `count`."""

    def rate(increases: str, step_seconds: int) -> str:
        return f"{total(f'avg_over_time({scope.over(increases)})', *by)} / {step_seconds}"

    return _read(scope, name, rate, *matchers, by=by, **labels)


def rate(scope: Scope, name: str, counters: str, *by: str, **labels: str) -> str:
    """A rate from recorded increases where the scope has an interval, else from the counters that they are made of."""
    return per_second(scope, name, by=by, **labels) if scope.interval else total(scope.rate(counters), *by)


def gained(scope: Scope, name: str, counters: str, *by: str, **labels: str) -> str:
    """What came in the window, as `rate`."""
    return count(scope, name, by=by, **labels) if scope.interval else total(scope.increase(counters), *by)


def gauge(scope: Scope, name: str, aggregation: str, values: str, **labels: str) -> str:
    """A recorded gauge over time where the scope has an interval, else the values that it is made of, aggregated."""
    return over_time(scope, name, aggregation, **labels) if scope.interval else f"{aggregation} ({values})"


def recorded_seconds(scope: Scope, name: str, *by: str, **labels: str) -> str:
    """How many seconds of the window a series was recorded for: that by which its counts become rates."""

    def seconds(increases: str, step_seconds: int) -> str:
        aggregation = f"max by ({', '.join(by)})" if by else "max"
        return f"{aggregation} (count_over_time({scope.over(increases)}) * {step_seconds})"

    return _read(scope, name, seconds, by=by, **labels)


def quantile(scope: Scope, name: str, number: float, *matchers: str, by: tuple[str, ...] = (), **labels: str) -> str:
    """A quantile of what came in the window, of the recorded buckets of a histogram; arguments as of `count`."""
    return f"histogram_quantile({number}, {count(scope, name, *matchers, by=('le', *by), **labels)}) >= 0"


def over_time(scope: Scope, name: str, aggregation: str, *matchers: str, **labels: str) -> str:
    """The highest, lowest or mean value in the window of a recorded gauge, aggregated."""
    function = f"{made_by(name)}_over_time"

    def aggregated(values: str, _: int) -> str:
        return f"{aggregation} ({function}({scope.over(values)}))"

    return _read(scope, name, aggregated, *matchers, by=(), **labels)


def _read(
    scope: Scope, name: str, query: Callable[[str, int], str], *matchers: str, by: tuple[str, ...] = (), **labels: str
) -> str:
    """What `query` makes of a selector and the seconds of its steps, of the steps that the interval needs."""
    if not scope.interval:
        return query(scope.recorded(name, *matchers, **labels), step_seconds(name))
    listed = f'~".* {scope.interval} .*"'
    short = scope.recorded(name, f"{LABEL}!{listed}", *matchers, **labels)
    long = [scope.recorded(long_steps(name), f"{LABEL}={listed}", *matchers, **labels)]
    if (variable := split_by(name)) and variable in scope.filters and variable not in by:
        interval, value, label = f"{LABEL}={listed}", scope.filters[variable], all_label(variable)
        others = {key: of_series for key, of_series in labels.items() if key != variable}
        long = [
            scope.recorded(of_all(name), interval, f'{label}="{value}"', *matchers, **others),
            scope.recorded(long_steps(name), interval, f'{label}!="{value}"', *matchers, **labels),
        ]
    return f"({query(short, step_seconds(name))} or {' or '.join(query(each, LONG_STEP_SECONDS) for each in long)})"


def _suffix(name: str) -> re.Match[str]:
    if (match := _SUFFIX.search(name)) is None:
        raise ValueError(f"{name} has no long steps.")
    return match
