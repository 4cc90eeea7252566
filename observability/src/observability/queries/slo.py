"""Service levels: the share of bad requests, how fast that burns what the objective leaves, and what is left of it.

Prometheus records the shares (see `recording`), so that a page asks for one number and not for three days of counters.
They are absent without traffic: nobody is judged by requests that nobody made. A service level has no labels, since it
is one promise for all models and gateways together.
"""

from dataclasses import dataclass

from observability import settings
from observability.promql import Scope, share, total
from observability.queries import gateway

MEASURED = settings.SLO_WINDOWS[0]
BUDGET_WINDOW = settings.SLO_WINDOWS[-1]
# Every look sees the last five minutes, so that a request is seen by so many looks.
_LOOKS_IN_MEASURED = 5 * 60 // settings.EVALUATION_INTERVAL_SECONDS


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """A promise in numbers.

    Attributes:
        name: as in `slo:<name>_objective`.
        fault: what breaks the promise, as in `slo:<name>_<fault>:ratio_rate1h`.
        objective: the share of good requests that is promised, 0..1.
        judged: how many requests counted in the last five minutes, in PromQL.
        bad: how many of them were bad.
    """

    name: str
    fault: str
    objective: float
    judged: str
    bad: str

    @property
    def stem(self) -> str:
        """What the names of its recorded series begin with."""
        return f"slo:{self.name}_{self.fault}"


def every() -> tuple[ServiceLevel, ...]:
    """All promises.

    Availability: what failed through no fault of the client, of that and what went well. Neither cancelled nor refused
    requests are in it. Time to first token: streams that got one later than promised, of those that got one at all.
    """
    scope = Scope(MEASURED)
    streams = _many(gateway.first_tokens(scope))
    quick = _many(gateway.first_tokens_within(scope, settings.TTFT_SLOW_SECONDS))
    failed, judged = _many(gateway.failed(scope)), _many(gateway.judged(scope))
    return (
        ServiceLevel("availability", "errors", settings.AVAILABILITY_OBJECTIVE, judged, failed),
        ServiceLevel("ttft", "slow", settings.TTFT_OBJECTIVE, streams, f"{streams} - {quick}"),
    )


def named(name: str) -> ServiceLevel:
    """The promise of that name: availability or ttft.

    Raises:
        KeyError: there is none.
    """
    return {level.name: level for level in every()}[name]


def ratio(name: str, window: str) -> str:
    """The share of bad requests, 0..1.

    Raises:
        ValueError: nothing is recorded over that window.
    """
    if window not in settings.SLO_WINDOWS:
        raise ValueError(f"Shares are recorded over {', '.join(settings.SLO_WINDOWS)}, not over {window}.")
    return f"{named(name).stem}:ratio_rate{window}{{}}"


def objective(name: str) -> str:
    """The share of good requests that is promised, 0..1."""
    return f"slo:{named(name).name}_objective{{}}"


def unknown() -> str:
    """1 where Prometheus records nothing of this: it has not read its rules, and burn rates are silent whatever is."""
    return f"absent({objective(every()[0].name)})"


def burn_rate(name: str, window: str) -> str:
    """How many times as fast as allowed requests go bad: at 1 the budget is used up exactly. Absent without traffic."""
    return share(ratio(name, window), f"(1 - {objective(name)})")


def budget_left(name: str) -> str:
    """Of the bad requests that the objective allows in BUDGET_WINDOW, the share that is left; below 0 it is broken."""
    return f"1 - {burn_rate(name, BUDGET_WINDOW)}"


def bad_requests(name: str, window: str) -> str:
    """How many requests went bad."""
    return f"sum_over_time({named(name).stem}:increase{MEASURED}{{}}[{window}]) / {_LOOKS_IN_MEASURED}"


def burning(name: str, times: float, long: str, short: str) -> str:
    """The share of bad requests over the long window, while both windows burn so many times as fast as allowed.

    The short window ends it soon after the fault has ended. It says nothing while fewer than LEAST_BAD_REQUESTS went
    bad in the long one: of three requests in a quiet hour one is a third, and no incident.
    """
    limit = round(times * (1 - named(name).objective), 9)
    shares = [total(ratio(name, window)) for window in (long, short)]
    both = " and ".join(f"{one} > {limit}" for one in shares)
    many = f"{total(bad_requests(name, long))} >= {settings.LEAST_BAD_REQUESTS}"
    return f'label_replace({both} and {many}, "window", "{long}", "", "")'


def _many(counters: str) -> str:
    return total(f"increase({counters}[{MEASURED}])")
