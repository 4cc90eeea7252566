"""The meter: shares out the time of one engine over the requests of one worker. Decision 11 has the reasons."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gateway.cost.pricing import Tariff, read_prices
from gateway.usage import Usage


class Consumed(NamedTuple):
    """Seconds consumed since the last `drain`: paid for by requests, or idle."""

    paid: float
    idle: float


class Meter:
    """Measures who used an engine, in seconds of its time.

    While no request is in flight, its seconds are idle. While some are, its seconds accumulate in a pool, from which
    each request that ends takes a part by its weight; the last one takes the rest. So no part is ever negative, and
    whenever no request is in flight, paid and idle seconds add up to the time since `start`.

    Args:
        clock: Monotonic, in seconds.

    Attributes:
        inflight: Requests that have begun and not ended.
        pool: Seconds during which requests were in flight, and for which none has paid yet.
    """

    __slots__ = ("_clock", "_ended", "_idle", "_paid", "_running_clock", "_since", "_weight", "inflight", "pool")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = _stopped_clock
        self._running_clock = clock
        self._since = 0.0
        self._paid = 0.0
        self._idle = 0.0
        self._ended = 0
        self._weight = 0.0
        self.inflight = 0
        self.pool = 0.0

    def start(self, now: float) -> None:
        """Time counts from `now` on, by the meter's clock. Requests that began earlier cost nothing until then."""
        self._clock = self._running_clock
        self._since = now

    def begin(self) -> None:
        """A request is sent to the engine."""
        self._advance()
        self.inflight += 1

    def end(self, weight: float) -> float:
        """A request has left the engine.

        Args:
            weight: Its tokens as output tokens; zero or more.

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
            # The weight of those still in flight is not known yet: assume the average of the requests before them.
            total = weight + others * self._weight / self._ended
            seconds = pool * (weight / total) if total else 0.0
            self.pool = pool - seconds
        else:
            seconds = pool
            self.pool = 0.0
        self._paid += seconds
        return seconds

    def drain(self) -> Consumed:
        """The seconds since the last call. Those still in the pool follow with the requests that will pay for them."""
        self._advance()
        consumed = Consumed(self._paid, self._idle)
        self._paid = self._idle = 0.0
        return consumed

    def _advance(self) -> None:
        now = self._clock()
        if self.inflight:
            self.pool += now - self._since
        else:
            self._idle += now - self._since
        self._since = now


class EngineMeter:
    """Meters the requests of one engine in one worker, and prices them.

    Args:
        engine: The engine's name.
        tariff: Its price.
        clock: Monotonic, in seconds.

    Attributes:
        meter: Measures the engine's time; its `start`, `begin` and `drain` are here, too.
    """

    def __init__(self, engine: str, tariff: Tariff, clock: Callable[[], float] = time.monotonic) -> None:
        self.engine = engine
        self.tariff = tariff
        self.meter = Meter(clock)
        self.start, self.drain = self.meter.start, self.meter.drain
        # On the path of every request: bound methods spare a call.
        self.begin, self._end = self.meter.begin, self.meter.end
        self._usd_per_second = tariff.usd_per_second
        self._input, self._cached_input = tariff.weights

    def end(self, usage: Usage | None, events: int) -> tuple[float, float]:
        """A request has left the engine.

        Args:
            usage: Its tokens by the engine's count; None if it reported none.
            events: Events that were sent: all that is known of a stream that was cut short.

        Returns:
            The US dollars that it pays, and its tokens as output tokens.
        """
        if usage is None:
            weight = float(events)
        else:
            cached = min(usage.cached, usage.input)  # an engine may report nonsense
            weight = usage.output + (usage.input - cached) * self._input + cached * self._cached_input
        return self._end(weight) * self._usd_per_second, weight


def read_meters(prices: Sequence[tuple[str, str]], file: Path, *, workers: int) -> list[EngineMeter]:
    """A meter for each engine that has a price; the prices file is read only if there is one.

    Args:
        prices: Engines and their prices: names from the file, or US dollars per hour.
        file: See `read_prices`.
        workers: How many workers share each engine's time.

    Raises:
        PricesFileError: The file cannot be used, or has no such price.
    """
    if not prices:
        return []
    price_list = read_prices(file)
    return [EngineMeter(engine, price_list.tariff(engine, price, workers=workers)) for engine, price in prices]


def _stopped_clock() -> float:
    """The clock of a meter that has not been started."""
    return 0.0
