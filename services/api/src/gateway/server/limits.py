"""How many connections one worker serves, and how long it waits for a client."""

from typing import NamedTuple

# Descriptors for neither clients nor requests: probes of engines, the log, files that are read again.
_RESERVE = 16
_MAX_SPARE = 256


class Limits(NamedTuple):
    """Limits of one worker.

    Attributes:
        connections: Maximum number of connections; the next one gets 503.
        header_timeout: Seconds for a request's head to be complete, and for a new connection to send one.
        send_timeout: Seconds that a client may leave unread what the server itself sends.
        keep_alive: Seconds that a connection may be idle between requests.
        linger: Seconds after its last answer that an idle connection is kept when the worker stops.
        spare: Additional connections, which are answered with 503; further ones wait in the kernel's queue.
    """

    connections: int
    header_timeout: float
    send_timeout: float
    keep_alive: float
    linger: float = 1.0
    spare: int = _MAX_SPARE

    def fit(self, descriptors: int) -> "Limits":
        """These limits, with fewer connections if free descriptors are short: each relayed request takes two."""
        usable = max(4, descriptors - _RESERVE)
        spare = max(1, min(self.spare, usable // 8))
        return self._replace(connections=max(1, min(self.connections, (usable - spare) // 2)), spare=spare)

    @property
    def descriptors_needed(self) -> int:
        """How many free descriptors these limits need."""
        return 2 * self.connections + self.spare + _RESERVE
