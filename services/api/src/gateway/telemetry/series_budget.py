"""How many series a gateway can have: known before it starts, whatever is served, asked for and gone wrong later."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics import MetricWrapperBase

from gateway.errors import ATTEMPT_RESULTS, ENGINE_PHASES, KEY_REFUSALS
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recorder import _PREDECLARED, _TOKEN_TYPES, _WASTED_OUTCOMES

MAX_SERIES = 8_000
# "none" and "other" are labels beside those of models and keys.
_BESIDE = 2
# Client errors of relayed requests that do not exist at 0: 401, 403, 404, 405, 408, 413, 422, 429.
_CLIENT_ERRORS = 8
# Routes that are not relayed, and the codes of each.
_OTHER_ROUTES, _THEIR_CODES = 12, 4
_ENGINE_STATES, _COST_PARTS = 8, 3


def series_budget(routes: Mapping[str, bool], *, engines: int, models: int, keys: int) -> int:
    """The most series that /metrics can come to.

    Args:
        routes: The relayed routes, and whether each can stream.
        engines: How many there are.
        models: How many have series of their own.
        keys: How many have series of their own.
    """
    models, keys = models + _BESIDE, keys + _BESIDE
    variants = sum(1 + streams for streams in routes.values())
    endings = len(_PREDECLARED) + _CLIENT_ERRORS
    count = {
        ("route", "model"): len(routes) * models + _OTHER_ROUTES,
        ("route", "model", "stream"): variants * models + _OTHER_ROUTES,
        ("route", "model", "stream", "outcome", "code"): variants * models * endings + _OTHER_ROUTES * _THEIR_CODES,
        ("model",): models,
        ("model", "type"): models * len(_TOKEN_TYPES),
        ("model", "reason"): models * len(_WASTED_OUTCOMES),
        ("key",): keys,
        ("key", "type"): keys * 2,
        ("engine",): engines,
        ("engine", "kind", "model"): engines * models,
        ("engine", "part"): engines * _COST_PARTS,
        ("engine", "result"): engines * len(ATTEMPT_RESULTS),
        ("engine", "state"): engines * _ENGINE_STATES,
        ("phase",): len(ENGINE_PHASES) + 1,
        ("reason",): len(KEY_REFUSALS),
        ("metric",): 2,
        (): 1,
    }
    metrics: list[MetricWrapperBase] = list(vars(Metrics(CollectorRegistry())).values())
    return sum(count[metric._labelnames] * _lines(metric) for metric in metrics)  # noqa: SLF001 - it tells nowhere else


def _lines(metric: MetricWrapperBase) -> int:
    """Of one set of labels: a histogram has its buckets, sum and count."""
    return len(metric._upper_bounds) + 2 if isinstance(metric, Histogram) else 1  # noqa: SLF001 - as above
