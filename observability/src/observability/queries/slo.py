"""Service levels: the ratio of bad requests, its burn rate, and the error budget that is left.

Prometheus records them (see `recording.slo`), so that a dashboard queries one number and not three days of counters.
Each VM has its own, under the label `vm`; a service level has no other labels, since it is one objective for all models.
Ratios are empty without traffic.
"""

from dataclasses import dataclass

from observability import settings
from observability.promql import Scope, increase_between_evaluations, per_scalar, share, total
from observability.queries import stack
from observability.queries.gateway import JOB, requests

STEP = f"{settings.EVALUATION_INTERVAL_SECONDS}s"
BUDGET_WINDOW = settings.SLO_WINDOWS[-1]
EVALUATIONS_PER_BUDGET_WINDOW = int(BUDGET_WINDOW.removesuffix("d")) * 86400 // settings.EVALUATION_INTERVAL_SECONDS
# The share of the budget's window in which the rules have been evaluated.
LIVED = f"slo:window_lived:ratio{BUDGET_WINDOW}"
# A gateway that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "1h"
# Of a drill only the windows of the fastest burn rate are recorded: longer ones would hold its failures for hours.
DRILL_WINDOWS = settings.FAST_BURNS[0][1:]
NOT_A_DRILL = f'vm!="{settings.DRILL_VM}"'


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """A service level objective.

    Attributes:
        name: as in `slo:<name>_objective`.
        fault: what makes a request bad, as in `slo:<name>_<fault>:ratio_rate1h`.
        objective: the ratio of good requests to achieve, 0..1.
        judged: PromQL: the requests of each VM that counted since the last evaluation.
        bad: PromQL: those of them that were bad.
    """

    name: str
    fault: str
    objective: float
    judged: str
    bad: str

    @property
    def objective_series(self) -> str:
        """The recorded objective."""
        return f"slo:{self.name}_objective"

    @property
    def budget_series(self) -> str:
        """The recorded number of bad requests that the objective allows in BUDGET_WINDOW."""
        return f"slo:{self.name}_{self.fault}:budget{BUDGET_WINDOW}"

    def judged_series(self, window: str) -> str:
        """The recorded number of requests that counted."""
        return f"slo:{self.name}_judged:increase{window}"

    def bad_series(self, window: str) -> str:
        """The recorded number of bad requests."""
        return f"slo:{self.name}_{self.fault}:increase{window}"

    def ratio_series(self, window: str) -> str:
        """The recorded ratio of the two."""
        return f"slo:{self.name}_{self.fault}:ratio_rate{window}"


def all_service_levels() -> tuple[ServiceLevel, ...]:
    """All service levels.

    Availability: failures on the server's side, relative to those and successes; cancelled and rejected requests are
    left out. A request that nginx answered with a 5xx of its own never reached a gateway that could count it, and has
    failed too. Time to first token: streams that got it too late, relative to all streams that got one.
    """
    scope = Scope(STEP)
    by_nginx = _increase(stack.nginx_own_responses(scope), stack.NGINX_JOB)
    failed, judged = (
        total(f"{_increase(counters, JOB)} or {by_nginx}", "vm")
        for counters in (requests.failed(scope), requests.judged(scope))
    )
    streams, fast = (
        total(_increase(counters, JOB), "vm")
        for counters in (
            requests.first_tokens(scope),
            requests.first_tokens_within(scope, settings.TTFT_SLOW_SECONDS),
        )
    )
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
    return f"{service_level(name).ratio_series(_recorded(window))}{{}}"


def objective(name: str) -> str:
    """The ratio of good requests to achieve, 0..1."""
    return f"{service_level(name).objective_series}{{}}"


def recording_missing() -> str:
    """1 where Prometheus has not loaded the recording rules, so that burn rates are empty whatever happens."""
    return f"absent({objective(all_service_levels()[0].name)})"


def burn_rate(name: str, window: str) -> str:
    """The burn rate, without drills: at 1 the error budget is spent exactly. Empty without traffic."""
    recorded = f"{service_level(name).ratio_series(_recorded(window))}{{{NOT_A_DRILL}}}"
    return per_scalar(recorded, "/", f"(1 - {objective(name)})")


def budget(name: str) -> str:
    """The error budget of BUDGET_WINDOW: how many bad requests the objective allows in it.

    Until the window has passed once, it is what a whole window of the traffic so far would allow.
    """
    return f"{service_level(name).budget_series}{{}}"


def budget_left(name: str) -> str:
    """The share of the error budget that is left; below 0 the objective is missed.

    Empty while the budget is less than a request: 3 failures of 10 requests are no number to judge three days by.
    """
    return f"1 - {share(bad_requests(name, BUDGET_WINDOW), f'({budget(name)} >= {settings.MIN_BUDGET_REQUESTS})')}"


def bad_requests(name: str, window: str) -> str:
    """The number of bad requests.

    Raises:
        ValueError: it is not recorded over that window.
    """
    return f"{service_level(name).bad_series(_recorded(window))}{{}}"


def burning(name: str, factor: float, long: str, short: str) -> str:
    """The number of bad requests in the long window, while the burn rate over both windows exceeds the factor.

    The short window ends the alert soon after the fault. Empty while the long window has fewer than MIN_BAD_REQUESTS
    bad requests: one of three requests in a quiet hour is a third, but no incident.
    """
    limit = round(factor * (1 - service_level(name).objective), 9)
    exceeded = " and ".join(f"{ratio(name, window)} > {limit}" for window in (long, short))
    return f"{bad_requests(name, long)} >= {settings.MIN_BAD_REQUESTS} and {exceeded}"


def _recorded(window: str) -> str:
    if window not in settings.SLO_WINDOWS:
        raise ValueError(f"Ratios are recorded over {', '.join(settings.SLO_WINDOWS)}, not over {window}.")
    return window


def _increase(counters: str, job: str) -> str:
    interval, delay = settings.EVALUATION_INTERVAL_SECONDS, settings.SCRAPE_INTERVAL_SECONDS
    return f"({increase_between_evaluations(counters, job, interval, delay, _LONGEST_GAP)})"
