"""The retry budget: retries must not double the load of a fleet that is already failing."""

import time

RETRY_RATIO = 0.2
MIN_RETRIES = 3
_WINDOW_S = 10.0


class RetryBudget:
    """Allows retries for a fifth of the requests of the last 10 to 20 seconds, and at least three."""

    def __init__(self) -> None:
        self._window = 0.0
        self._requests = [0, 0]
        self._retries = [0, 0]

    def record_request(self) -> None:
        """Counts a request, which adds to the budget."""
        self._rotate()
        self._requests[0] += 1

    def try_acquire(self) -> bool:
        """Takes one retry from the budget; False when none is left."""
        self._rotate()
        if sum(self._retries) >= max(MIN_RETRIES, RETRY_RATIO * sum(self._requests)):
            return False
        self._retries[0] += 1
        return True

    def _rotate(self) -> None:
        window = time.monotonic() // _WINDOW_S
        if window == self._window:
            return
        is_next = window == self._window + 1
        self._requests = [0, self._requests[0] if is_next else 0]
        self._retries = [0, self._retries[0] if is_next else 0]
        self._window = window
