"""Shares out the time of one engine over the requests of one worker; decision 11 says why so."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gateway.cost.pricing import Tariff, read_prices
from gateway.usage import Usage


class Consumed(NamedTuple):
    """Seconds that were paid for by requests, or by nobody, since the meter was last asked."""

    paid: float
    idle: float


class Meter:
    """Measures who used an engine, in seconds of it.

    While no request is in flight its seconds are idle. While some are, its seconds gather in a pool, from which each
    request that ends takes a part by its weight; the last one takes all that is left. So no part is ever below 0, and
    whenever nobody is in flight, paid and idle seconds add up to the time since `start`.

    Args:
        clock: Seconds that never run backwards.

    Attributes:
        inflight: Requests begun and not ended.
        pool: Seconds in which requests were in flight, and which none has paid yet.
    """

    __slots__ = ("_clock", "_ended", "_idle", "_paid", "_since", "_started_clock", "_weight", "inflight", "pool")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = _standing_still
        self._started_clock = clock
        self._since = 0.0
        self._paid = 0.0
        self._idle = 0.0
        self._ended = 0
        self._weight = 0.0
        self.inflight = 0
        self.pool = 0.0

    def start(self, now: float) -> None:
        """From `now` on, by the meter's clock, time counts. Requests that begin before cost nothing until then."""
        self._clock = self._started_clock
        self._since = now

    def begin(self) -> None:
        """A request goes to the engine."""
        self._advance()
        self.inflight += 1

    def end(self, weight: float) -> float:
        """A request has left the engine.

        Args:
            weight: Its tokens as output tokens; 0 or more.

        Returns:
            The seconds that it pays for.
        """
        now = self._clock()
        pool = self.pool + (now - self._since)
        self._since = now
        self._ended += 1
        self._weight += weight
        others = self.inflight = self.inflight - 1
        if others:
            # What those still in flight will weigh is not known: as much as the requests before them, on average.
            whole = weight + others * self._weight / self._ended
            seconds = pool * (weight / whole) if whole else 0.0
            self.pool = pool - seconds
        else:
            seconds = pool
            self.pool = 0.0
        self._paid += seconds
        return seconds

    def drain(self) -> Consumed:
        """The seconds since the last call; those still in the pool come with the requests that will pay them."""
        self._advance()
        taken = Consumed(self._paid, self._idle)
        self._paid = self._idle = 0.0
        return taken

    def _advance(self) -> None:
        now = self._clock()
        if self.inflight:
            self.pool += now - self._since
        else:
            self._idle += now - self._since
        self._since = now


class EngineMeter:
    """Measures the requests of one engine in one worker, and prices them.

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


def read_meters(prices: Sequence[tuple[str, str]], file: Path, *, workers: int) -> list[EngineMeter]:
    """A meter for each engine that has a price; the file is read if there is one.

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
    return [EngineMeter(engine, known.tariff(engine, price, workers=workers)) for engine, price in prices]


def _standing_still() -> float:
    """The clock of a meter that has not been started."""
    return 0.0
