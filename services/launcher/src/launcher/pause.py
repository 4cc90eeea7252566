"""How long to wait before the next try."""

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 300.0


class GrowingPause:
    """A pause that doubles with every failure, from 1 s up to 5 min, and is short again after a success."""

    def __init__(self, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def take(self) -> float:
        """Give the seconds to wait now, and make the next ones longer."""
        pause = self._next
        self._next = min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Begin with the short pause again."""
        self._next = self._first
