"""What is spent, on its way into the counters.

Collected here and written from time to time: a counter in a worker's mapped file costs 4 µs to move, and each request
would move four of them. All that belongs together is written together, so that the sums over keys, over models and over
engines agree in every scrape but one that falls into that moment.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Literal, get_args

from gateway.telemetry.metrics import Metrics

Part = Literal["requests", "idle", "lost"]
_PARTS: tuple[Part, ...] = get_args(Part)


class CostCounters:
    """Counts dollars. One per process.

    Args:
        catalogue: The metrics to write to. Without an engine that has a price none of them gets a series.
        model_label: What a model is called in metrics.
        key_label: What a key is called in metrics.
    """

    def __init__(
        self, metrics: Metrics, model_label: Callable[[str], str] = str, key_label: Callable[[str], str] = str
    ) -> None:
        self._metrics = metrics
        self._model_label = model_label
        self._key_label = key_label
        self._priced = False
        self._booked: dict[tuple[str, Part], float] = defaultdict(float)
        self._charged: list[tuple[str, str, str, float, float]] = []

    def declare_engine(self, engine: str, usd_per_hour: float) -> None:
        """An engine has a price."""
        self._priced = True
        self._metrics.hourly_price.labels(engine).set(usd_per_hour)
        for part in _PARTS:
            self._metrics.cost.labels(engine, part)

    def declare_model(self, model: str) -> None:
        """A model is served: its series begin at 0."""
        if self._priced:
            self._metrics.model_cost.labels(model)
            self._metrics.output_equivalent_tokens.labels(model)

    def book(self, engine: str, part: Part, usd: float) -> None:
        """A part of an engine's time, in dollars."""
        self._booked[engine, part] += usd

    def charge(self, engine: str, model: str, key: str, usd: float, equivalents: float) -> None:
        """What one attempt at an engine costs. On the way of every request, so it is only noted here."""
        self._charged.append((engine, model, key, usd, equivalents))

    def write(self) -> None:
        """Moves the counters."""
        metrics = self._metrics
        by_model: dict[str, float] = defaultdict(float)
        by_key: dict[str, float] = defaultdict(float)
        tokens: dict[str, float] = defaultdict(float)
        for engine, model, key, usd, equivalents in self._charged:
            self.book(engine, "requests", usd)
            label = self._model_label(model)
            by_model[label] += usd
            tokens[label] += equivalents
            by_key[self._key_label(key)] += usd
        for (engine, part), usd in self._booked.items():
            metrics.cost.labels(engine, part).inc(usd)
        for counter, amounts in (
            (metrics.model_cost, by_model),
            (metrics.key_cost, by_key),
            (metrics.output_equivalent_tokens, tokens),
        ):
            for label, amount in amounts.items():
                counter.labels(label).inc(amount)
        self._charged.clear()
        self._booked.clear()
