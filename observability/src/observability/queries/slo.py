"""Service levels: the ratio of bad requests, its burn rate, and the error budget that is left.

Prometheus records the ratios (see `recording`), so that a dashboard queries one number and not three days of counters.
They are empty without traffic. A service level has no labels, since it is one objective for all models and gateways.
"""

from dataclasses import dataclass

from observability import settings
from observability.promql import Scope, share, total
from observability.queries.gateway import requests

BASE_WINDOW = settings.SLO_WINDOWS[0]
BUDGET_WINDOW = settings.SLO_WINDOWS[-1]
# Every evaluation covers the last five minutes, so that each request is counted in this many of them.
_EVALUATIONS_PER_WINDOW = 5 * 60 // settings.EVALUATION_INTERVAL_SECONDS


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """A service level objective.

    Attributes:
        name: as in `slo:<name>_objective`.
        fault: what makes a request bad, as in `slo:<name>_<fault>:ratio_rate1h`.
        objective: the ratio of good requests to achieve, 0..1.
        judged: PromQL: the requests that counted in the last five minutes.
        bad: PromQL: those of them that were bad.
    """

    name: str
    fault: str
    objective: float
    judged: str
    bad: str

    @property
    def stem(self) -> str:
        """The prefix of its recorded series."""
        return f"slo:{self.name}_{self.fault}"


def all_service_levels() -> tuple[ServiceLevel, ...]:
    """All service levels.

    Availability: failures on the server's side, relative to those and successes; cancelled and rejected requests are
    left out. Time to first token: streams that got it too late, relative to all streams that got one.
    """
    scope = Scope(BASE_WINDOW)
    streams = _increase(requests.first_tokens(scope))
    fast = _increase(requests.first_tokens_within(scope, settings.TTFT_SLOW_SECONDS))
    failed, judged = _increase(requests.failed(scope)), _increase(requests.judged(scope))
    return (
        ServiceLevel("availability", "errors", settings.AVAILABILITY_OBJECTIVE, judged, failed),
        ServiceLevel("ttft", "slow", settings.TTFT_OBJECTIVE, streams, f"{streams} - {fast}"),
    )


def service_level(name: str) -> ServiceLevel:
    """The service level of that name: availability or ttft.

    Raises:
        KeyError: there is none.
    """
    return {level.name: level for level in all_service_levels()}[name]


def ratio(name: str, window: str) -> str:
    """The ratio of bad requests, 0..1.

    Raises:
        ValueError: the ratio is not recorded over that window.
    """
    if window not in settings.SLO_WINDOWS:
        raise ValueError(f"Ratios are recorded over {', '.join(settings.SLO_WINDOWS)}, not over {window}.")
    return f"{service_level(name).stem}:ratio_rate{window}{{}}"


def objective(name: str) -> str:
    """The ratio of good requests to achieve, 0..1."""
    return f"slo:{service_level(name).name}_objective{{}}"


def recording_missing() -> str:
    """1 where Prometheus has not loaded the recording rules, so that burn rates are empty whatever happens."""
    return f"absent({objective(all_service_levels()[0].name)})"


def burn_rate(name: str, window: str) -> str:
    """The burn rate: at 1 the error budget is spent exactly. Empty without traffic."""
    return share(ratio(name, window), f"(1 - {objective(name)})")


def budget_left(name: str) -> str:
    """The share of the error budget of BUDGET_WINDOW that is left; below 0 the objective is missed."""
    return f"1 - {burn_rate(name, BUDGET_WINDOW)}"


def bad_requests(name: str, window: str) -> str:
    """The number of bad requests."""
    return f"sum_over_time({service_level(name).stem}:increase{BASE_WINDOW}{{}}[{window}]) / {_EVALUATIONS_PER_WINDOW}"


def burn_rate_exceeded(name: str, factor: float, long: str, short: str) -> str:
    """The ratio of bad requests over the long window, while the burn rate over both windows exceeds the factor.

    The short window ends the alert soon after the fault. Empty while the long window has fewer than MIN_BAD_REQUESTS
    bad requests: one of three requests in a quiet hour is a third, but no incident.
    """
    limit = round(factor * (1 - service_level(name).objective), 9)
    ratios = [total(ratio(name, window)) for window in (long, short)]
    exceeded = " and ".join(f"{window_ratio} > {limit}" for window_ratio in ratios)
    enough = f"{total(bad_requests(name, long))} >= {settings.MIN_BAD_REQUESTS}"
    return f'label_replace({exceeded} and {enough}, "window", "{long}", "", "")'


def _increase(counters: str) -> str:
    return total(f"increase({counters}[{BASE_WINDOW}])")
