"""Misses: when failed polls or probes are enough to take an engine out.

All times are `time.monotonic`, in seconds.
"""

import time

# How many polls, or probes, must fail in a row to take an engine out.
_MAX_MISSES = 3


class Misses:
    """Consecutive failures of one kind of check.

    Attributes:
        count: How many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._since = 0.0

    def add(self, began: float, last_progress: float, max_silence: float) -> bool:
        """Counts a failure; True when there are enough to take the engine out.

        Args:
            began: When the check began.
            last_progress: When the engine last made progress.
            max_silence: Seconds for which it may make none.
        """
        if self.count and last_progress > self._since:
            self.count = 0
        if not self.count:
            self._since = began
        self.count += 1
        is_silent = last_progress <= self._since and time.monotonic() - self._since >= max_silence
        return self.count >= _MAX_MISSES and is_silent

    def clear(self) -> None:
        """A check succeeded."""
        self.count = 0
