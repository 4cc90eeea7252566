"""What one worker takes at once, and for how long it waits for a client."""

from typing import NamedTuple

# Descriptors for what is no client's and no request's: probes of engines, the log, files that are read again.
_RESERVE = 16
_MOST_SPARE = 256


class Limits(NamedTuple):
    """Limits of one worker.

    Attributes:
        connections: Connections that are served; one more gets 503.
        header_timeout: Seconds in which a request's head must be whole, and a new connection must have sent one.
        send_timeout: Seconds that a client may refuse to read what the server itself has for it.
        keep_alive: Seconds that a connection may be idle between two requests.
        linger: Seconds after its last answer that an idle connection is kept when the worker stops.
        spare: Connections on top that are told so; further ones wait in the kernel's queue.
    """

    connections: int
    header_timeout: float
    send_timeout: float
    keep_alive: float
    linger: float = 1.0
    spare: int = _MOST_SPARE

    def within(self, descriptors: int) -> "Limits":
        """The same with no more connections than so many free descriptors allow: each relayed request takes two."""
        usable = max(4, descriptors - _RESERVE)
        spare = max(1, min(self.spare, usable // 8))
        return self._replace(connections=max(1, min(self.connections, (usable - spare) // 2)), spare=spare)

    @property
    def needs(self) -> int:
        """How many free descriptors it takes to serve so many."""
        return 2 * self.connections + self.spare + _RESERVE
