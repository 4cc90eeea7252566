"""What the queries of the Cost and keys dashboard should show."""

from dataclasses import replace

from tests.support.truth import amounts as a
from tests.support.truth import conditions as c
from tests.support.truth import measures as m
from tests.support.truth.comparison import Compared
from tests.support.truth.measures import Measure
from tests.support.truth.overview import Table, around, over_range
from tests.support.truth.traffic import ENGINES

from observability import settings

_HOUR, _MILLION = 3600, 1_000_000
_PRICE = sum(engine.usd_per_hour for engine in ENGINES)
# A sample a minute before a restart: what was not scraped of that minute is lost. Of a week that is little.
_DOLLARS, _DOLLARS_OF_A_POINT = 0.002, 0.05


def _dollars(measure: Measure) -> Compared:
    return replace(over_range(measure), tolerance=_DOLLARS)


def _per_hour(measure: Measure) -> Compared:
    return replace(around(measure, per_second=True, factor=_HOUR), tolerance=_DOLLARS_OF_A_POINT)


def _per_million(by: str = "") -> Measure:
    return m.ratio(m.total(amount=a.cost, by=by), m.total(amount=a.equivalents, by=by), _MILLION)


def _incl_idle() -> Measure:
    return m.times(_per_million(), m.ratio(c.paid(), c.paid("requests")))


def _enough_tokens(measure: Measure, by: str = "") -> Measure:
    return m.at_least(settings.MIN_TOKENS_PER_INTERVAL, m.total(amount=a.equivalents, by=by), measure)


def _columns() -> Table:
    failed, judged = (m.total(which, by="key") for which in (a.failed, a.judged))
    return {
        ("Keys", "Output tokens"): over_range(m.total(amount=a.tokens("output"), by="key")),
        ("Keys", "Input tokens"): over_range(m.total(amount=a.tokens("input"), by="key")),
        ("Keys", "Requests"): over_range(m.total(by="key")),
        ("Keys", "Error rate"): over_range(m.ratio(failed, judged)),
        ("Keys", "E2E mean"): over_range(m.mean(a.duration, "key")),
        ("Keys", "TTFT mean"): over_range(m.mean(a.ttft, "key")),
        ("Keys", "Cost"): over_range(m.total(amount=a.cost, by="key")),
    }


def _tiles() -> Table:
    found = {
        "Cost (range)": _dollars(c.paid()),
        "Cost of idle time (range)": _dollars(c.paid("idle")),
        "Idle share of cost (range)": _dollars(m.ratio(c.paid("idle"), c.paid())),
        "Cost of requests (range)": over_range(c.paid("requests")),
        "Cost lost in worker crashes (range)": over_range(m.never()),
        "Cost by models (range)": over_range(m.total(amount=a.cost)),
        "Output-equivalent tokens (range)": over_range(m.total(amount=a.equivalents)),
        "Cost per 1M tokens (excl. idle) (range)": over_range(_per_million()),
        "Cost per 1M tokens (incl. idle) (range)": _dollars(_incl_idle()),
        "Cost by keys (range)": over_range(m.total(amount=a.cost)),
        "Requests by keys (range)": over_range(m.total(a.has_key)),
        "Output tokens by keys (range)": over_range(m.total(amount=a.tokens("output"))),
        "Input tokens by keys (range)": over_range(m.total(amount=a.tokens("input"))),
        "Error rate of keys (range)": over_range(m.ratio(m.total(a.failed), m.total(a.judged))),
        "Mean TTFT of keys (range)": over_range(m.mean(a.ttft)),
    }
    return {(title, title): compared for title, compared in found.items()}


COST: Table = {
    ("Hourly cost (USD/h)", "Hourly cost (USD/h)"): Compared(c.hourly_price(), 0),
    **_tiles(),
    ("Cost per hour: requests, idle, lost", "{{part}}"): _per_hour(c.paid(by="part")),
    ("Cost per hour by engine", "{{engine}}"): _per_hour(c.paid(by="engine")),
    ("Cost of requests per hour, compared", "now"): _per_hour(c.paid("requests")),
    ("Cost per hour by model", "{{model}}"): _per_hour(m.total(amount=a.cost, by="model")),
    ("Cost per 1M tokens", "excl. idle"): around(_enough_tokens(_per_million())),
    ("Cost per 1M tokens", "incl. idle"): around(_enough_tokens(_incl_idle())),
    ("Cost per 1M tokens by model", "{{model}}"): around(_enough_tokens(_per_million("model"), "model")),
    ("Cost accounted for", "of the hourly cost"): replace(_per_hour(c.paid()), factor=_HOUR / _PRICE),
    **_columns(),
    ("Cost per hour by key", "{{key}}"): _per_hour(m.total(amount=a.cost, by="key")),
    ("Token throughput by key (tok/s)", "{{key}}"): around(m.total(amount=a.all_tokens, by="key"), per_second=True),
    ("Failed requests by key", "{{key}}"): around(m.total(a.failed, by="key"), per_second=True),
    ("Mean E2E latency by key", "{{key}}"): around(m.mean(a.duration, "key")),
    ("Mean TTFT by key", "{{key}}"): around(m.mean(a.ttft, "key")),
}
