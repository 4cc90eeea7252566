"""What the queries of the Overview should show."""

from tests.support.truth import amounts as a
from tests.support.truth import conditions as c
from tests.support.truth import measures as m
from tests.support.truth.comparison import Compared
from tests.support.truth.measures import Measure

from observability import settings
from observability.queries.gateway import engines

Table = dict[tuple[str, str], Compared]

HOUR, DAY = 3600, 86400
# Instead of a query's legend: the course behind a tile's number.
COURSE = "course"
ERROR_RATE = m.ratio(m.total(a.failed), m.total(a.judged))
CANCELLED = m.ratio(m.total(a.cancelled), m.total(a.accepted))
OWN = c.nginx_responses()
AVAILABILITY_ERRORS = m.plus(m.total(a.failed), OWN)
AVAILABILITY_JUDGED = m.plus(m.total(a.judged), OWN)
UNAVAILABLE = m.ratio(AVAILABILITY_ERRORS, AVAILABILITY_JUDGED)
SLOW = m.complement(m.within_share(a.ttft, settings.TTFT_SLOW_SECONDS))
BUDGETS = {
    "availability": m.budget_left(AVAILABILITY_ERRORS, AVAILABILITY_JUDGED, settings.AVAILABILITY_OBJECTIVE),
    "TTFT": m.budget_left(m.beyond(a.ttft, settings.TTFT_SLOW_SECONDS), m.having(a.ttft), settings.TTFT_OBJECTIVE),
}


def over_range(measure: Measure) -> Compared:
    """A tile of the selected range, from recorded steps."""
    return Compared(measure, "range", recorded=True)


def cell(measure: Measure, *, per_second: bool = False) -> Compared:
    """A graph of recorded steps."""
    return Compared(measure, "step", recorded=True, per_second=per_second)


def around(measure: Measure, *, per_second: bool = False, factor: float = 1) -> Compared:
    """A graph of counters around each point."""
    return Compared(measure, "rate", per_second=per_second, factor=factor)


def recent(measure: Measure, *, per_second: bool = False, seconds: int = 300) -> Compared:
    """A tile of the last minutes."""
    return Compared(measure, seconds, per_second=per_second)


def now(measure: Measure) -> Compared:
    """A tile of the present."""
    return Compared(measure, 0)


def quantiles(title: str, of: a.Amount, buckets: str) -> Table:
    """A graph of the median and the 95th percentile."""
    return {(title, f"p{number}"): cell(m.quantile(number / 100, of, buckets)) for number in (50, 95)}


def model_columns() -> Table:
    """The columns of the table of models."""
    return {
        ("Models", "Requests"): over_range(m.total(by="model")),
        ("Models", "Error rate"): over_range(m.ratio(m.total(a.failed, by="model"), m.total(a.judged, by="model"))),
        ("Models", "Cancelled"): over_range(m.ratio(m.total(a.cancelled, by="model"), m.total(a.accepted, by="model"))),
        ("Models", "E2E p95"): over_range(m.quantile(0.95, a.duration, "duration", "model")),
        ("Models", "TTFT p95"): over_range(m.quantile(0.95, a.ttft, "ttft", "model")),
        ("Models", "TPOT p95"): over_range(m.quantile(0.95, a.tpot, "tpot", "model")),
        ("Models", "Output"): Compared(
            m.total(amount=a.tokens("output"), by="model"), "range", recorded=True, per_second=True, tolerance=0.01
        ),
        ("Models", "In flight"): now(c.in_flight("model")),
    }


def _budget(name: str) -> Compared:
    # How long the stack has lived is known to a step of three days.
    return Compared(BUDGETS[name], 3 * DAY, recorded=True, tolerance=0.001)


def _burn_rates() -> Table:
    windows = {"5m": 300, "1h": HOUR, "6h": 6 * HOUR, "3d": 3 * DAY}
    found = {}
    for title, bad_share, objective in (
        ("Availability burn rate", UNAVAILABLE, settings.AVAILABILITY_OBJECTIVE),
        ("TTFT burn rate", SLOW, settings.TTFT_OBJECTIVE),
    ):
        rate = m.scaled(bad_share, 1 / (1 - objective))
        # Both ends are in a window (until Prometheus 3): a step more.
        steps = {name: seconds + settings.EVALUATION_INTERVAL_SECONDS for name, seconds in windows.items()}
        peaks = m.highest({name: (rate, seconds) for name, seconds in steps.items()}, "window")
        found[title, "{{window}} {{vm}}"] = _course(peaks)
        found[f"{title} (1h)", f"{title} (1h)"] = Compared(rate, HOUR, recorded=True)
    return found


def _course(measure: Measure) -> Compared:
    # A burst at the edge of a window is in it or not by the second of the evaluation; long windows of this history are
    # recorded every five minutes only.
    return Compared(measure, "step", recorded=True, tolerance=0.02, lookback=330)


COURSES: Table = {
    ("Request rate (5m)", COURSE): cell(m.total(), per_second=True),
    ("Error rate (5m)", COURSE): cell(ERROR_RATE),
    ("E2E latency p95 (5m)", COURSE): cell(m.quantile(0.95, a.duration, "duration")),
    ("TTFT p95 (5m)", COURSE): cell(m.quantile(0.95, a.ttft, "ttft")),
    ("Requests in flight", COURSE): cell(c.in_flight_by_model()),
    ("Output throughput (tok/s)", COURSE): cell(m.total(amount=a.tokens("output")), per_second=True),
    ("Cancelled (5m)", COURSE): cell(CANCELLED),
}
OVERVIEW: Table = {
    ("HTTPS health check", "HTTPS health check"): now(m.always(1)),
    ("HTTPS health check (range)", "HTTPS health check (range)"): Compared(
        c.reachable(), "range", recorded=True, tolerance=0.001
    ),
    ("Engines ready", "Engines ready"): now(c.engines_ready(engines.ENGINES_FACTOR)),
    ("Scrape targets down", "Scrape targets down"): now(m.never()),
    ("E2E latency", "p95 yesterday"): cell(m.shifted(m.quantile(0.95, a.duration, "duration"), DAY)),
    ("Requests by outcome", "yesterday"): cell(m.shifted(m.total(), DAY), per_second=True),
    ("Requests by outcome", "last week"): cell(m.shifted(m.total(), 7 * DAY), per_second=True),
    ("Request rate (5m)", "Request rate (5m)"): recent(m.total(), per_second=True),
    ("Error rate (5m)", "Error rate (5m)"): recent(ERROR_RATE),
    ("E2E latency p95 (5m)", "E2E latency p95 (5m)"): recent(m.quantile(0.95, a.duration, "duration")),
    ("TTFT p95 (5m)", "TTFT p95 (5m)"): recent(m.quantile(0.95, a.ttft, "ttft")),
    ("Requests in flight", "Requests in flight"): now(c.in_flight()),
    ("Output throughput (tok/s)", "Output throughput (tok/s)"): recent(
        m.total(amount=a.tokens("output")), per_second=True, seconds=60
    ),
    ("Cancelled (5m)", "Cancelled (5m)"): recent(CANCELLED),
    **COURSES,
    ("Availability (range)", "Availability (range)"): over_range(m.complement(UNAVAILABLE)),
    ("Error rate (range)", "Error rate (range)"): over_range(ERROR_RATE),
    ("E2E latency p95 (range)", "E2E latency p95 (range)"): over_range(m.quantile(0.95, a.duration, "duration")),
    ("TTFT p95 (range)", "TTFT p95 (range)"): over_range(m.quantile(0.95, a.ttft, "ttft")),
    ("TPOT p95 (range)", "TPOT p95 (range)"): over_range(m.quantile(0.95, a.tpot, "tpot")),
    **quantiles("E2E latency", a.duration, "duration"),
    **quantiles("Time to first token", a.ttft, "ttft"),
    **quantiles("Time per output token", a.tpot, "tpot"),
    ("Requests by outcome", "{{outcome}}"): cell(m.total(by="outcome"), per_second=True),
    ("Non-OK share", "{{outcome}}"): cell(m.ratio(m.total(a.not_ok, by="outcome"), m.total(a.accepted))),
    **{
        ("Token throughput (tok/s)", legend): cell(m.total(amount=a.tokens(kind)), per_second=True)
        for legend, kind in (
            ("input", "input"), ("of it cached", "cached_input"), ("output", "output"), ("of it reasoning", "reasoning")
        )
    },
    ("Engine states", "{{engine}} {{vm}}"): cell(c.worst_state()),
    ("Requests in flight and waiting", "gateway in flight"): cell(c.in_flight_by_model()),
    ("Requests in flight and waiting", "vLLM running"): cell(c.waiting(beyond=False)),
    ("Requests in flight and waiting", "vLLM waiting"): cell(c.waiting(beyond=True)),
    **_burn_rates(),
    ("Availability error budget left", "Availability error budget left"): _budget("availability"),
    ("TTFT error budget left", "TTFT error budget left"): _budget("TTFT"),
    ("Error budgets left", "{{objective}} {{vm}}"): _course(
        m.highest({name: (budget, 3 * DAY) for name, budget in BUDGETS.items()}, "objective", of=min)
    ),
    ("Failed requests (3d)", "Failed requests (3d)"): Compared(AVAILABILITY_ERRORS, 3 * DAY, recorded=True),
    **{key: compared for key, compared in model_columns().items() if key[1] not in ("E2E p95", "TPOT p95")},
    ("Cancellations", "{{phase}}"): around(m.cancellations(), per_second=True),
    ("Timeouts", "{{phase}}"): around(m.total(by="phase"), per_second=True),
    ("Discarded output", "{{reason}}"): around(m.discarded("reason"), per_second=True),
    ("E2E latency distribution", "{{le}}"): cell(m.within(a.duration, "duration")),
    ("TTFT distribution", "{{le}}"): cell(m.within(a.ttft, "ttft")),
}  # fmt: skip
