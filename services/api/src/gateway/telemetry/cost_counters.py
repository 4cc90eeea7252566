"""The counters of costs.

Amounts are collected here and written periodically: to increment a counter in a worker's memory-mapped file takes 4 µs,
and each request would increment four of them. What belongs together is written together, so that the sums over keys,
models and engines agree in every scrape, except for one that falls into the write.
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
        metrics: The metrics to write to. None of them gets a series unless an engine has a price.
        model_label: Maps a model to its label in metrics.
        key_label: Maps a key to its label in metrics.

    Attributes:
        has_prices: Whether any engine has a price.
    """

    def __init__(
        self, metrics: Metrics, model_label: Callable[[str], str] = str, key_label: Callable[[str], str] = str
    ) -> None:
        self._metrics = metrics
        self._model_label = model_label
        self._key_label = key_label
        self.has_prices = False
        self._booked: dict[tuple[str, Part], float] = defaultdict(float)
        self._charged: list[tuple[str, str, str, float, float]] = []

    def declare_engine(self, engine: str, usd_per_hour: float) -> None:
        """An engine has this price: its series start at zero."""
        self.has_prices = True
        self._metrics.hourly_price.labels(engine).set(usd_per_hour)
        for part in _PARTS:
            self._metrics.cost.labels(engine, part)

    def book(self, engine: str, part: Part, usd: float) -> None:
        """Adds to a part of an engine's time, in dollars."""
        self._booked[engine, part] += usd

    def charge(self, engine: str, model: str, key: str, usd: float, equivalents: float) -> None:
        """Adds the cost of one attempt at an engine. On the path of every request, so it is only appended here."""
        self._charged.append((engine, model, key, usd, equivalents))

    def write(self) -> None:
        """Increments the counters by everything collected since the last call."""
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
