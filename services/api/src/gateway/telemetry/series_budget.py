"""The series budget: how many series a gateway can have at most, known before it starts."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics import MetricWrapperBase

from gateway.errors import ATTEMPT_RESULTS, ENGINE_PHASES, KEY_REFUSALS
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recorder import _PREDECLARED, _TOKEN_TYPES, _WASTED_OUTCOMES

MAX_SERIES = 8_000
# The labels "none" and "other", in addition to those of models and keys.
_EXTRA_LABELS = 2
# Client errors of relayed requests that are not created at zero: 401, 403, 404, 405, 408, 413, 422, 429.
_CLIENT_ERRORS = 8
# Routes that are not relayed, and the codes of each.
_OTHER_ROUTES, _OTHER_CODES = 12, 4
# At most this many states of an engine, and parts of its cost.
_ENGINE_STATES, _COST_PARTS = 8, 3


def series_budget(routes: Mapping[str, bool], *, engines: int, models: int, keys: int) -> int:
    """The most series that /metrics can have.

    Args:
        routes: The relayed routes, and whether each can stream.
        engines: Number of engines.
        models: Number of models with series of their own.
        keys: Number of keys with series of their own.
    """
    models, keys = models + _EXTRA_LABELS, keys + _EXTRA_LABELS
    variants = sum(1 + streams for streams in routes.values())
    endings = len(_PREDECLARED) + _CLIENT_ERRORS
    count = {
        ("route", "model"): len(routes) * models + _OTHER_ROUTES,
        ("route", "model", "stream"): variants * models + _OTHER_ROUTES,
        ("route", "model", "stream", "outcome", "code"): variants * models * endings + _OTHER_ROUTES * _OTHER_CODES,
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
    return sum(count[metric._labelnames] * _lines(metric) for metric in metrics)  # noqa: SLF001 - prometheus-client has no public access


def _lines(metric: MetricWrapperBase) -> int:
    """The series of one set of labels: a histogram has its buckets, sum and count."""
    return len(metric._upper_bounds) + 2 if isinstance(metric, Histogram) else 1  # noqa: SLF001 - as above
