"""What the queries of the Overview should show."""

from tests.support.truth import measures as m
from tests.support.truth.comparison import Compared
from tests.support.truth.measures import Measure

from observability import settings

Table = dict[tuple[str, str], Compared]

HOUR, DAY = 3600, 86400
SHIFT = 1 - settings.AVAILABILITY_OBJECTIVE
ERROR_RATE = m.ratio(m.total(m.failed), m.total(m.judged))
CANCELLED = m.ratio(m.total(m.cancelled), m.total(m.accepted))
OWN = m.nginx_responses()
AVAILABILITY_ERRORS = m.plus(m.total(m.failed), OWN)
AVAILABILITY_JUDGED = m.plus(m.total(m.judged), OWN)
UNAVAILABLE = m.ratio(AVAILABILITY_ERRORS, AVAILABILITY_JUDGED)
SLOW = m.complement(m.within_share(m.ttft, settings.TTFT_SLOW_SECONDS))


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


def quantiles(title: str, of: m.Amount, buckets: str) -> Table:
    """A graph of the median and the 95th percentile."""
    return {(title, f"p{number}"): cell(m.quantile(number / 100, of, buckets)) for number in (50, 95)}


def model_columns() -> Table:
    """The columns of the table of models."""
    return {
        ("Models", "Requests"): over_range(m.total(by="model")),
        ("Models", "Error rate"): over_range(m.ratio(m.total(m.failed, by="model"), m.total(m.judged, by="model"))),
        ("Models", "Cancelled"): over_range(m.ratio(m.total(m.cancelled, by="model"), m.total(m.accepted, by="model"))),
        ("Models", "E2E p95"): over_range(m.quantile(0.95, m.duration, "duration", "model")),
        ("Models", "TTFT p95"): over_range(m.quantile(0.95, m.ttft, "ttft", "model")),
        ("Models", "TPOT p95"): over_range(m.quantile(0.95, m.tpot, "tpot", "model")),
        ("Models", "Output"): Compared(
            m.total(amount=m.tokens("output"), by="model"), "range", recorded=True, per_second=True, tolerance=0.01
        ),
        ("Models", "In flight"): now(m.in_flight("model")),
    }


def _burn(measure: Measure, objective: float, seconds: int) -> Compared:
    return Compared(measure, seconds, recorded=True, factor=1 / (1 - objective))


def _burn_rates() -> Table:
    windows = {"5m": 300, "1h": HOUR, "6h": 6 * HOUR, "3d": 3 * DAY}
    found = {}
    for title, measure, objective in (
        ("Availability burn rate", UNAVAILABLE, settings.AVAILABILITY_OBJECTIVE),
        ("TTFT burn rate", SLOW, settings.TTFT_OBJECTIVE),
    ):
        found |= {(title, f"{name} {{{{vm}}}}"): _burn(measure, objective, each) for name, each in windows.items()}
        found[f"{title} (1h)", f"{title} (1h)"] = _burn(measure, objective, HOUR)
    return found


OVERVIEW: Table = {
    ("Request rate (5m)", "Request rate (5m)"): recent(m.total(), per_second=True),
    ("Error rate (5m)", "Error rate (5m)"): recent(ERROR_RATE),
    ("E2E latency p95 (5m)", "E2E latency p95 (5m)"): recent(m.quantile(0.95, m.duration, "duration")),
    ("TTFT p95 (5m)", "TTFT p95 (5m)"): recent(m.quantile(0.95, m.ttft, "ttft")),
    ("Requests in flight", "Requests in flight"): now(m.in_flight()),
    ("Output throughput (tok/s)", "Output throughput (tok/s)"): recent(
        m.total(amount=m.tokens("output")), per_second=True, seconds=60
    ),
    ("Cancelled (5m)", "Cancelled (5m)"): recent(CANCELLED),
    ("Availability (range)", "Availability (range)"): over_range(m.complement(UNAVAILABLE)),
    ("Error rate (range)", "Error rate (range)"): over_range(ERROR_RATE),
    ("E2E latency p95 (range)", "E2E latency p95 (range)"): over_range(m.quantile(0.95, m.duration, "duration")),
    ("TTFT p95 (range)", "TTFT p95 (range)"): over_range(m.quantile(0.95, m.ttft, "ttft")),
    ("TPOT p95 (range)", "TPOT p95 (range)"): over_range(m.quantile(0.95, m.tpot, "tpot")),
    **quantiles("E2E latency", m.duration, "duration"),
    **quantiles("Time to first token", m.ttft, "ttft"),
    **quantiles("Time per output token", m.tpot, "tpot"),
    ("Requests by outcome", "{{outcome}}"): cell(m.total(by="outcome"), per_second=True),
    ("Non-OK share", "{{outcome}}"): cell(m.ratio(m.total(m.not_ok, by="outcome"), m.total(m.accepted))),
    **{
        ("Token throughput (tok/s)", legend): cell(m.total(amount=m.tokens(kind)), per_second=True)
        for legend, kind in (
            ("input", "input"), ("of it cached", "cached_input"), ("output", "output"), ("of it reasoning", "reasoning")
        )
    },
    ("Engine states", "{{engine}} {{vm}}"): around(m.worst_state()),
    ("Requests in flight and waiting", "gateway in flight"): around(m.in_flight_by_model()),
    ("Requests in flight and waiting", "vLLM running"): around(m.waiting(beyond=False)),
    ("Requests in flight and waiting", "vLLM waiting"): around(m.waiting(beyond=True)),
    **_burn_rates(),
    ("Failed requests (3d)", "Failed requests (3d)"): Compared(AVAILABILITY_ERRORS, 3 * DAY, recorded=True),
    **{key: compared for key, compared in model_columns().items() if key[1] not in ("E2E p95", "TPOT p95")},
    ("Cancellations", "{{phase}}"): around(m.cancellations(), per_second=True),
    ("Timeouts", "{{phase}}"): around(m.total(by="phase"), per_second=True),
    ("Discarded output", "{{reason}}"): around(m.discarded("reason"), per_second=True),
    ("E2E latency distribution", "{{le}}"): cell(m.within(m.duration, "duration")),
    ("TTFT distribution", "{{le}}"): cell(m.within(m.ttft, "ttft")),
}  # fmt: skip
