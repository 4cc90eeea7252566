"""What the queries of the Gateway dashboard should show."""

from tests.support.truth import amounts as a
from tests.support.truth import conditions as c
from tests.support.truth import measures as m
from tests.support.truth.measures import Measure
from tests.support.truth.overview import (
    CANCELLED,
    ERROR_RATE,
    OVERVIEW,
    Table,
    around,
    cell,
    model_columns,
    now,
    over_range,
    quantiles,
)  # fmt: skip

from observability import settings


def _of_streams(number: float, stream: bool) -> Measure:
    return m.quantile(number, a.duration, "duration", which=lambda request: request.stream == stream)


def _attempts(by: str = "") -> Measure:
    return m.total(a.attempted, by=by)


def _error_rate(by: str) -> Measure:
    return m.ratio(m.total(a.failed, by=by), m.total(a.judged, by=by))


def _by_model() -> Table:
    return {
        ("Requests by model", "{{model}}"): cell(m.total(by="model"), per_second=True),
        ("Error rate by model", "{{model}}"): cell(_error_rate("model")),
        ("Output throughput by model (tok/s)", "{{model}}"): cell(
            m.total(amount=a.tokens("output"), by="model"), per_second=True
        ),
        ("E2E latency by model, p95", "{{model}}"): cell(m.quantile(0.95, a.duration, "duration", "model")),
        ("TTFT by model, p95", "{{model}}"): cell(m.quantile(0.95, a.ttft, "ttft", "model")),
        ("TPOT by model, p95", "{{model}}"): cell(m.quantile(0.95, a.tpot, "tpot", "model")),
    }


def _around() -> Table:
    e2e = "E2E latency, streaming and non-streaming"
    return {
        ("Responses by status code", "{{code}}"): around(m.total(by="code"), per_second=True),
        (e2e, "streaming p50"): around(_of_streams(0.5, True)),
        (e2e, "streaming p95"): around(_of_streams(0.95, True)),
        (e2e, "non-streaming p50"): around(_of_streams(0.5, False)),
        (e2e, "non-streaming p95"): around(_of_streams(0.95, False)),
        ("Requests by route", "{{route}}"): around(m.total(by="route"), per_second=True),
        ("Error rate by route", "{{route}}"): around(_error_rate("route")),
        ("E2E latency by route, p95", "{{route}}"): around(m.quantile(0.95, a.duration, "duration", "route")),
        ("Upstream requests by engine", "{{engine}}"): around(_attempts("engine"), per_second=True),
        ("Upstream requests by result", "{{result}}"): around(_attempts("result"), per_second=True),
        ("Upstream error rate by engine", "{{engine}}"): around(
            m.ratio(m.total(a.attempt_failed, by="engine"), _attempts("engine"))
        ),
        ("Cancellations by phase", "{{phase}}"): around(m.cancellations(), per_second=True),
        ("Timeouts by phase", "{{phase}}"): around(m.total(by="phase"), per_second=True),
        ("Discarded output share", "discarded"): around(
            m.ratio(m.discarded(), m.plus(m.discarded(), m.total(amount=a.tokens("output"))))
        ),
        ("nginx vs gateway requests", "gateway"): around(m.total(), per_second=True),
        **{
            (f"{title} length", f"p{number}"): around(m.quantile(number / 100, a.tokens(kind), "length"))
            for title, kind in (("Prompt", "input"), ("Output", "output"))
            for number in (50, 95)
        },
    }


_AS_ON_THE_OVERVIEW = (
    "Request rate (5m)", "Error rate (5m)", "Requests in flight", "Engine states", "Requests by outcome",
    "E2E latency distribution", "TTFT distribution",
)  # fmt: skip
_OTHER_DAYS = ("yesterday", "last week")


def _as_on_the_overview() -> Table:
    return {key: OVERVIEW[key] for key in OVERVIEW if key[0] in _AS_ON_THE_OVERVIEW and key[1] not in _OTHER_DAYS}


GATEWAY: Table = {
    **{
        key: compared
        for key, compared in OVERVIEW.items()
        if key[0] in _AS_ON_THE_OVERVIEW and key[1] not in _OTHER_DAYS
    },
    ("Workers down", "Workers down"): now(m.never()),
    ("Workers", "live"): around(m.always(1)),
    ("Workers", "expected"): around(m.always(1)),
    ("Models by engine", "State"): now(m.always(1, "large", "small", by="model")),
    ("Upstream retries by engine", "{{engine}}"): around(m.never("engine"), per_second=True),
    ("Upstream outlier ejections", "{{engine}}"): around(c.ejections()),
    ("Authentication failures", "{{reason}}"): around(c.refused_keys(), per_second=True),
    ("Label cardinality overflow", "{{metric}}"): around(m.never("metric"), per_second=True),
    ("Lost log lines", "lost"): around(m.never(), per_second=True),
    ("Requests lost in worker crashes", "Requests lost in worker crashes"): now(m.never()),
    ("Requests (range)", "Requests (range)"): over_range(m.total()),
    ("Error rate (range)", "Error rate (range)"): over_range(ERROR_RATE),
    ("Cancelled (range)", "Cancelled (range)"): over_range(CANCELLED),
    ("TTFT within the objective (range)", "TTFT within the objective (range)"): over_range(
        m.within_share(a.ttft, settings.TTFT_SLOW_SECONDS)
    ),
    **model_columns(),
    **_by_model(),
    **quantiles("Time to first token", a.ttft, "ttft"),
    **quantiles("Time per output token", a.tpot, "tpot"),
    **_around(),
}
