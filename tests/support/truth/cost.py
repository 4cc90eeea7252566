"""What the queries of the Cost and keys dashboard should show."""

from dataclasses import replace

from tests.support.truth import measures as m
from tests.support.truth.comparison import Compared
from tests.support.truth.measures import Measure
from tests.support.truth.overview import Table, around, over_range

_HOUR, _THOUSAND, _MILLION = 3600, 1_000, 1_000_000
# A sample a minute before a restart: what was not scraped of that minute is lost. Of a week that is little.
_DOLLARS = 0.002


def _dollars(measure: Measure) -> Compared:
    return replace(over_range(measure), tolerance=_DOLLARS)


def _per_hour(measure: Measure) -> Compared:
    return around(measure, per_second=True, factor=_HOUR)


def _per_million(by: str = "") -> Measure:
    return m.ratio(m.total(amount=m.cost, by=by), m.total(amount=m.equivalents, by=by), _MILLION)


def _columns() -> Table:
    failed, judged = (m.total(which, by="key") for which in (m.failed, m.judged))
    return {
        ("Keys", "Output tokens"): over_range(m.total(amount=m.tokens("output"), by="key")),
        ("Keys", "Input tokens"): over_range(m.total(amount=m.tokens("input"), by="key")),
        ("Keys", "Requests"): over_range(m.total(by="key")),
        ("Keys", "Error rate"): over_range(m.ratio(failed, judged)),
        ("Keys", "E2E mean"): over_range(m.mean(m.duration, "key")),
        ("Keys", "TTFT mean"): over_range(m.mean(m.ttft, "key")),
        ("Keys", "Cost"): over_range(m.total(amount=m.cost, by="key")),
    }


def _tiles() -> Table:
    incl_idle = m.times(_per_million(), m.ratio(m.paid(), m.paid("requests")))
    found = {
        "Cost (range)": _dollars(m.paid()),
        "Cost of idle time (range)": _dollars(m.paid("idle")),
        "Idle share of cost (range)": _dollars(m.ratio(m.paid("idle"), m.paid())),
        "Cost of requests (range)": over_range(m.paid("requests")),
        "Cost lost in worker crashes (range)": over_range(m.never()),
        "Cost by models (range)": over_range(m.total(amount=m.cost)),
        "Output-equivalent tokens (range)": over_range(m.total(amount=m.equivalents)),
        "Cost per 1M tokens (excl. idle) (range)": over_range(_per_million()),
        "Cost per 1M tokens (incl. idle) (range)": _dollars(incl_idle),
        "Cost by keys (range)": over_range(m.total(amount=m.cost)),
        "Requests by keys (range)": over_range(m.total(m.has_key)),
        "Output tokens by keys (range)": over_range(m.total(amount=m.tokens("output"))),
        "Input tokens by keys (range)": over_range(m.total(amount=m.tokens("input"))),
        "Error rate of keys (range)": over_range(m.ratio(m.total(m.failed), m.total(m.judged))),
        "Mean TTFT of keys (range)": over_range(m.mean(m.ttft)),
    }
    return {(title, title): compared for title, compared in found.items()}


COST: Table = {
    ("Hourly cost (USD/h)", "Hourly cost (USD/h)"): Compared(m.hourly_price(), 0),
    **_tiles(),
    ("Cost per hour: requests, idle, lost", "{{part}}"): _per_hour(m.paid(by="part")),
    ("Cost per hour by engine", "{{engine}}"): _per_hour(m.paid(by="engine")),
    ("Cost of requests per hour, compared", "now"): _per_hour(m.paid("requests")),
    ("Cost per hour by model", "{{model}}"): _per_hour(m.total(amount=m.cost, by="model")),
    ("Cost per 1,000 requests by model", "{{model}}"): around(
        m.ratio(m.total(amount=m.cost, by="model"), m.total(by="model"), _THOUSAND)
    ),
    **_columns(),
    ("Cost per hour by key", "{{key}}"): _per_hour(m.total(m.scraped, m.cost, "key")),
    ("Token throughput by key (tok/s)", "{{key}}"): around(m.total(m.scraped, m.all_tokens, "key"), per_second=True),
    ("Failed requests by key", "{{key}}"): around(
        m.total(lambda request: m.failed(request) and m.scraped(request), by="key"), per_second=True
    ),
    ("Mean E2E latency by key", "{{key}}"): around(m.mean(m.of_scraped(m.duration), "key")),
    ("Mean TTFT by key", "{{key}}"): around(m.mean(m.of_scraped(m.ttft), "key")),
}
