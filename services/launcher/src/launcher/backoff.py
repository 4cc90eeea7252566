"""How long to wait before the next try."""

INITIAL_SECONDS = 1.0
MAX_SECONDS = 300.0


class Backoff:
    """A pause that doubles with every failure, from 1 s up to 5 min, and is short again after a success."""

    def __init__(self, initial: float = INITIAL_SECONDS, maximum: float = MAX_SECONDS) -> None:
        self._initial = initial
        self._maximum = maximum
        self._delay = initial

    def next_delay(self) -> float:
        """Give the seconds to wait now, and make the next ones longer."""
        backoff = self._delay
        self._delay = min(self._delay * 2, self._maximum)
        return backoff

    def reset(self) -> None:
        """Begin with the short pause again."""
        self._delay = self._initial
