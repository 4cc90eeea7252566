"""What is spent, on its way into the counters.

Collected here and written from time to time: a counter in a worker's mapped file costs 4 µs to move, and each request
would move four of them. All that belongs together is written together, so that the sums over keys, over models and over
engines agree whenever somebody looks.
"""

from collections import defaultdict
from typing import Literal

from gateway.telemetry.catalogue import Catalogue

Part = Literal["requests", "idle", "lost"]
_PARTS: tuple[Part, ...] = ("requests", "idle", "lost")


class Spending:
    """Counts dollars. One per process.

    Args:
        catalogue: The metrics to write to. Without an engine that has a price none of them gets a series.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._priced = False
        self._booked: dict[tuple[str, Part], float] = defaultdict(float)
        self._models: dict[str, float] = defaultdict(float)
        self._keys: dict[str, float] = defaultdict(float)
        self._equivalents: dict[str, float] = defaultdict(float)

    def know_engine(self, engine: str, usd_per_hour: float) -> None:
        """An engine has a price."""
        self._priced = True
        self._catalogue.hourly_price.labels(engine).set(usd_per_hour)
        for part in _PARTS:
            self._booked[engine, part] += 0.0

    def know_model(self, model: str) -> None:
        """A model is served: its series begin at 0."""
        if self._priced:
            self._models[model] += 0.0
            self._equivalents[model] += 0.0

    def book(self, engine: str, part: Part, usd: float) -> None:
        """A part of an engine's time, in dollars."""
        self._booked[engine, part] += usd

    def charge(self, engine: str, model: str, key: str, usd: float, equivalents: float) -> None:
        """What one attempt at an engine costs; `model` and `key` as labels."""
        self._booked[engine, "requests"] += usd
        self._models[model] += usd
        self._keys[key] += usd
        self._equivalents[model] += equivalents

    def write(self) -> None:
        """Moves the counters."""
        metrics = self._catalogue
        for (engine, part), usd in self._booked.items():
            metrics.cost.labels(engine, part).inc(usd)
        for counter, amounts in (
            (metrics.model_cost, self._models),
            (metrics.key_cost, self._keys),
            (metrics.output_equivalent_tokens, self._equivalents),
        ):
            for label, amount in amounts.items():
                counter.labels(label).inc(amount)
            amounts.clear()
        self._booked.clear()
