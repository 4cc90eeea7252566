"""Exponential backoff: how long to wait before the next attempt."""

INITIAL_SECONDS = 1.0
MAX_SECONDS = 300.0


class Backoff:
    """A delay that doubles with every failure, from 1 s up to 5 min, and is short again after a success."""

    def __init__(self, initial: float = INITIAL_SECONDS, maximum: float = MAX_SECONDS) -> None:
        self._initial = initial
        self._maximum = maximum
        self._delay = initial

    def next_delay(self) -> float:
        """Give the seconds to wait now, and double the next delay."""
        delay = self._delay
        self._delay = min(self._delay * 2, self._maximum)
        return delay

    def reset(self) -> None:
        """Start again with the initial delay."""
        self._delay = self._initial
