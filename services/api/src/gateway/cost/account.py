"""The account of one engine in one worker: who used it, and what that costs."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.cost.meter import Meter
from gateway.cost.prices import read_prices
from gateway.cost.tariff import Tariff
from gateway.usage import Usage


class Account:
    """A meter and a tariff.

    Args:
        engine: The engine's name.
        tariff: Its price.
        clock: Seconds that never run backwards.
    """

    def __init__(self, engine: str, tariff: Tariff, clock: Callable[[], float] = time.monotonic) -> None:
        self.engine = engine
        self.tariff = tariff
        self.meter = Meter(clock)
        self.begin = self.meter.begin
        # Every request comes by here: two calls and no look-ups that could be spared.
        self._usd_per_second = tariff.usd_per_second
        self._input, self._cached_input = tariff.weights

    def end(self, usage: Usage | None, events: int) -> tuple[float, float]:
        """A request has left the engine.

        Args:
            usage: Its tokens by the engine's count; None where it told none.
            events: Events that went out: all that is known of a stream that was cut short.

        Returns:
            US dollars that it pays, and its tokens as output tokens.
        """
        if usage is None:
            weight = float(events)
        else:
            cached = min(usage.cached, usage.input)  # an engine may say nonsense
            weight = usage.output + (usage.input - cached) * self._input + cached * self._cached_input
        return self.meter.end(weight) * self._usd_per_second, weight


def read_accounts(prices: Sequence[tuple[str, str]], file: Path, *, workers: int) -> list[Account]:
    """An account for each engine that has a price; the file is read if there is one.

    Args:
        prices: Engines and their prices: names from the file, or US dollars an hour.
        file: See `read_prices`.
        workers: How many share each engine's time.

    Raises:
        PricesFileError: The file cannot be used, or has no such price.
    """
    if not prices:
        return []
    known = read_prices(file)
    return [Account(engine, known.tariff(engine, price, workers=workers)) for engine, price in prices]
