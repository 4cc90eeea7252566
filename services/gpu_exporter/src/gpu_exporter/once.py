"""Telling the operator a thing once."""

from collections.abc import Callable


class Once:
    """Called with a line, passes it on the first time only: what a card does not have is no news at every scrape."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()

    def __call__(self, line: str) -> None:
        """Pass the line on unless it was before."""
        if line not in self._told:
            self._told.add(line)
            self._tell(line)
