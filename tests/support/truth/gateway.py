"""What the queries of the Gateway dashboard should show."""

from tests.support.truth import measures as m
from tests.support.truth.measures import Measure
from tests.support.truth.overview import (
    CANCELLED, ERROR_RATE, OVERVIEW, Table, around, cell, model_columns, now, over_range, quantiles,
)  # fmt: skip

from observability import settings

def _of_streams(number: float, stream: bool) -> Measure:  # noqa: FBT001 - one of the two kinds of requests
    return m.quantile(number, m.duration, "duration", which=lambda request: request.stream == stream)


def _attempts(by: str = "") -> Measure:
    return m.total(m.attempted, by=by)


def _error_rate(by: str) -> Measure:
    return m.ratio(m.total(m.failed, by=by), m.total(m.judged, by=by))


def _by_model() -> Table:
    return {
        ("Requests by model", "{{model}}"): cell(m.total(by="model"), per_second=True),
        ("Error rate by model", "{{model}}"): cell(_error_rate("model")),
        ("Output throughput by model (tok/s)", "{{model}}"): cell(
            m.total(amount=m.tokens("output"), by="model"), per_second=True
        ),
        ("E2E latency by model, p95", "{{model}}"): cell(m.quantile(0.95, m.duration, "duration", "model")),
        ("TTFT by model, p95", "{{model}}"): cell(m.quantile(0.95, m.ttft, "ttft", "model")),
        ("TPOT by model, p95", "{{model}}"): cell(m.quantile(0.95, m.tpot, "tpot", "model")),
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
        ("E2E latency by route, p95", "{{route}}"): around(m.quantile(0.95, m.duration, "duration", "route")),
        ("Upstream requests by engine", "{{engine}}"): around(_attempts("engine"), per_second=True),
        ("Upstream requests by result", "{{result}}"): around(_attempts("result"), per_second=True),
        ("Upstream error rate by engine", "{{engine}}"): around(
            m.ratio(m.total(m.attempt_failed, by="engine"), _attempts("engine"))
        ),
        ("Cancellations by phase", "{{phase}}"): around(m.cancellations(), per_second=True),
        ("Timeouts by phase", "{{phase}}"): around(m.total(by="phase"), per_second=True),
        ("Discarded output share", "discarded"): around(
            m.ratio(m.discarded(), m.plus(m.discarded(), m.total(amount=m.tokens("output"))))
        ),
        ("nginx vs gateway requests", "gateway"): around(m.total(), per_second=True),
        **{
            (f"{title} length", f"p{number}"): around(m.quantile(number / 100, m.tokens(kind), "length"))
            for title, kind in (("Prompt", "input"), ("Output", "output"))
            for number in (50, 95)
        },
    }


_AS_ON_THE_OVERVIEW = (
    "Request rate (5m)", "Error rate (5m)", "Requests in flight", "Engine states", "Requests by outcome",
    "E2E latency distribution", "TTFT distribution",
)  # fmt: skip

GATEWAY: Table = {
    **{key: compared for key, compared in OVERVIEW.items() if key[0] in _AS_ON_THE_OVERVIEW},
    ("Requests lost in worker crashes", "Requests lost in worker crashes"): now(m.never()),
    ("Requests (range)", "Requests (range)"): over_range(m.total()),
    ("Error rate (range)", "Error rate (range)"): over_range(ERROR_RATE),
    ("Cancelled (range)", "Cancelled (range)"): over_range(CANCELLED),
    ("TTFT within the objective (range)", "TTFT within the objective (range)"): over_range(
        m.within_share(m.ttft, settings.TTFT_SLOW_SECONDS)
    ),
    **model_columns(),
    **_by_model(),
    **quantiles("Time to first token", m.ttft, "ttft"),
    **quantiles("Time per output token", m.tpot, "tpot"),
    **_around(),
}
