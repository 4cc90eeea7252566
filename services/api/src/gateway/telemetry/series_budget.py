"""The series budget: how many series a gateway can have at most, known before it starts."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from gateway.telemetry.cost_counters import CostCounters
from gateway.telemetry.initial_series import InitialSeries
from gateway.telemetry.labels import OTHER
from gateway.telemetry.metrics import Metrics

MAX_SERIES = 8_000
# The states of an engine.
_ENGINE_STATES = 6


def series_budget(relayed: Mapping[str, bool], *, engines: int, models: int, keys: int) -> int:
    """The most series that /metrics can have: all of them are created here, in memory, and counted.

    Args:
        relayed: The relayed routes, and whether each can stream.
        engines: Number of engines.
        models: Number of models with series of their own.
        keys: Number of keys with series of their own.
    """
    metrics = Metrics(CollectorRegistry())
    costs, series = CostCounters(metrics), InitialSeries(metrics, relayed)
    model_labels = [OTHER, *(f"model-{number}" for number in range(models))]
    series.create()
    for model in model_labels:
        series.create_model(model, has_price=True)
    for key in (OTHER, *(f"key-{number}" for number in range(keys))):
        series.create_key(key, has_price=True)
    for engine in (f"engine-{number}" for number in range(engines)):
        series.create_engine(engine)
        costs.declare_engine(engine, 1.0)
        for state in range(_ENGINE_STATES):
            metrics.engine_state.labels(engine, state)
        for model in model_labels:
            metrics.engine_model.labels(engine, "", model)
    metrics.build_info.labels("")
    for overflow in ("keys", "models"):
        metrics.label_overflow.labels(overflow)
    return count_series(metrics)


def count_series(metrics: Metrics) -> int:
    """The lines of /metrics for what exists in these metrics, which are those of one process."""
    found: list[MetricWrapperBase] = list(vars(metrics).values())
    return sum(
        not sample.name.endswith("_created")  # only in a process's own memory
        for metric in found
        for family in metric.collect()
        for sample in family.samples
    )
