"""How many retries are affordable: a sick fleet must not be asked twice for everything."""

import time

RETRY_RATIO = 0.2
MIN_RETRIES = 3
_WINDOW_S = 10.0


class RetryBudget:
    """Allows retries for a fifth of the requests of the last ten to twenty seconds, and always three."""

    def __init__(self) -> None:
        self._window = 0.0
        self._requests = [0, 0]
        self._retries = [0, 0]

    def request(self) -> None:
        """A request has come."""
        self._turn()
        self._requests[0] += 1

    def try_acquire(self) -> bool:
        """Takes one retry out of the budget; False when there is none left."""
        self._turn()
        if sum(self._retries) >= max(MIN_RETRIES, RETRY_RATIO * sum(self._requests)):
            return False
        self._retries[0] += 1
        return True

    def _turn(self) -> None:
        window = time.monotonic() // _WINDOW_S
        if window == self._window:
            return
        following = window == self._window + 1
        self._requests = [0, self._requests[0] if following else 0]
        self._retries = [0, self._retries[0] if following else 0]
        self._window = window
