"""Service levels: the ratio of bad requests, its burn rate, and the error budget that is left.

Prometheus records them (see `recording.slo`), so that a dashboard queries one number and not three days of counters.
Each VM has its own, under the label `vm`; there are no other labels, since an objective covers all models of a VM.
Ratios are empty without traffic.
"""

from dataclasses import dataclass

from observability import downsampling, settings
from observability.promql import Scope, increase_between_evaluations, share, share_of_each, total
from observability.queries import stack
from observability.queries.gateway import JOB, models, requests

STEP = f"{settings.EVALUATION_INTERVAL_SECONDS}s"
BUDGET_WINDOW = settings.SLO_WINDOWS[-1]
EVALUATIONS_PER_BUDGET_WINDOW = int(BUDGET_WINDOW.removesuffix("d")) * 86400 // settings.EVALUATION_INTERVAL_SECONDS
# The share of the budget's window in which the rules have been evaluated.
LIVED = f"slo:window_lived:ratio{BUDGET_WINDOW}"
# The requests of each evaluation by outcome, from which availability is recorded.
ANSWERED = f"slo:answered_requests:increase{STEP}"
# The error budgets that are left, recorded for graphs.
BUDGETS_LEFT = f"slo:budget_left:min{STEP}"
# The windows of the burn rates that alert; of each rate one.
GRAPH_WINDOWS = ("5m", "1h", "6h", "3d")
# Labels of what is recorded for graphs: the window of a burn rate, the objective of a budget.
WINDOW, OBJECTIVE = "window", "objective"
# A gateway that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "15m"
# Of a drill only the windows of the fastest burn rate are recorded: longer ones would hold its failures for hours.
DRILL_WINDOWS = settings.FAST_BURNS[0][1:]
NOT_A_DRILL = f'vm!="{settings.DRILL_VM}"'


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """A service level objective.

    Attributes:
        name: as in `slo:<name>_objective`.
        title: as people call it.
        fault: what makes a request bad, as in `slo:<name>_<fault>:ratio_rate1h`.
        objective: the ratio of good requests to achieve, 0..1.
        judged: PromQL: the requests of each VM that counted since the last evaluation.
        bad: PromQL: those of them that were bad.
    """

    name: str
    title: str
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
    left out. Time to first token: streams that got it too late, relative to all streams that got one.
    """
    judged = total(f"{ANSWERED}{{}}", "vm")
    # Outcomes that have not happened may have no series.
    not_ok = f'{ANSWERED}{{outcome!="ok"}}'
    failed = f"{total(not_ok, 'vm')} or {judged} * 0"
    scope = Scope(STEP)
    streams = total(_increase(requests.first_tokens(scope), JOB), "vm")
    fast = total(_increase(requests.first_tokens_within(scope, settings.TTFT_SLOW_SECONDS), JOB), "vm")
    # By VM only: what is recorded has a label more (see `downsampling`).
    judged_streams = total(f"slo:ttft_judged:increase{STEP}{{}}", "vm")
    return (
        ServiceLevel("availability", "availability", "errors", settings.AVAILABILITY_OBJECTIVE, judged, failed),
        ServiceLevel("ttft", "TTFT", "slow", settings.TTFT_OBJECTIVE, streams, f"{judged_streams} - {fast}"),
    )


def answered_requests() -> str:
    """The requests of each VM since the last evaluation that succeeded or failed, by outcome.

    A request that nginx answered with a 5xx of its own never reached a gateway that could count it: it failed too.
    """
    scope = Scope(STEP)
    by_nginx = _increase(stack.nginx_own_responses(scope), stack.NGINX_JOB)
    as_outcome = f'label_replace({by_nginx}, "outcome", "nginx", "", "")'
    return total(f"{_increase(requests.judged(scope), JOB)} or {as_outcome}", "vm", "outcome")


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
    return share_of_each(recorded, f"(1 - {objective(name)})")


def burn_rates(scope: Scope, name: str) -> str:
    """The highest burn rates in the scope's window, by VM and, under the label WINDOW, the window that they cover."""
    return downsampling.extreme(scope, burn_rates_series(name), f"max by ({WINDOW}, vm)", vm="vm")


def budgets_left(scope: Scope) -> str:
    """The lowest share of each error budget that was left in the scope's window, by VM and OBJECTIVE."""
    return downsampling.extreme(scope, BUDGETS_LEFT, f"min by ({OBJECTIVE}, vm)", vm="vm")


def burn_rates_series(name: str) -> str:
    """The recorded burn rates of a service level, for graphs."""
    return f"slo:{name}_burn_rate:max{STEP}"


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


def burning(name: str, *burns: tuple[float, str, str], counted: str) -> str:
    """The number of bad requests by VM and by what they have in common, while one of the burn rates is exceeded.

    A burn rate is exceeded while it is above its factor over both of its windows: the short one ends the alert soon
    after the fault. It takes MIN_BAD_REQUESTS in the long one: one of three requests in a quiet hour is a third, but no
    incident. Two burn rates of the same fault are one result.

    Args:
        name: the service level.
        burns: factor, long window and short window of each burn rate.
        counted: the window in which the bad requests are counted.
    """
    any_exceeded = total(" or ".join(_exceeded(name, *burn) for burn in burns), "vm")
    groups = f"({_bad_by_cause(name, counted)} > 0)"
    # What was counted can lack series, and an incident without a known cause is one all the same.
    return (
        f"({groups} or {total(bad_requests(name, counted), 'vm')} unless on (vm) {groups}) and on (vm) {any_exceeded}"
    )


def _exceeded(name: str, factor: float, long: str, short: str) -> str:
    limit = round(factor * (1 - service_level(name).objective), 9)
    ratios = " and ".join(f"{ratio(name, window)} > {limit}" for window in (long, short))
    return f"({bad_requests(name, long)} >= {settings.MIN_BAD_REQUESTS} and {ratios})"


def _bad_by_cause(name: str, window: str) -> str:
    """By model and outcome, or by model; requests that nginx answered itself have no model."""
    scope = Scope(window)
    if name == "ttft":
        return f"round({models.slow_first_tokens(scope, settings.TTFT_SLOW_SECONDS)})"
    failed = total(f"increase({requests.failed(scope)}[{window}])", "vm", "model", "outcome")
    renamed = (
        f"label_replace(increase({stack.nginx_own_responses(scope)}[{window}]), "
        '"outcome", "a $1 of nginx itself", "code", "(.+)")'
    )
    return f"round({failed} or {total(renamed, 'vm', 'outcome')})"


def _recorded(window: str) -> str:
    if window not in settings.SLO_WINDOWS:
        raise ValueError(f"Ratios are recorded over {', '.join(settings.SLO_WINDOWS)}, not over {window}.")
    return window


def _increase(counters: str, job: str) -> str:
    interval, delay = settings.EVALUATION_INTERVAL_SECONDS, settings.SCRAPE_INTERVAL_SECONDS
    return f"({increase_between_evaluations(counters, job, interval, delay, _LONGEST_GAP)})"
