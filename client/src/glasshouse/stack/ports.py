"""The ports that a start needs, looked at before anything is started."""

import errno
import socket
from dataclasses import dataclass

from glasshouse.errors import PortError
from glasshouse.stack.native import processes

_FIRST_FREE_FOR_ALL = 1024


@dataclass(frozen=True, slots=True)
class Port:
    """A port that `purpose` will listen on, and the variable that changes it; `by_root` where Docker does it for us."""

    number: int
    host: str
    purpose: str
    variable: str
    by_root: bool = False


def check(ports: tuple[Port, ...]) -> None:
    """Makes sure that every port can be had.

    Raises:
        PortError: One is taken, needs rights, or is named twice. All that is wrong is said at once, a line each.
    """
    troubles = [trouble for port in ports if (trouble := _trouble(port, ports)) is not None]
    if troubles:
        raise PortError("\n".join(troubles))


def _trouble(port: Port, ports: tuple[Port, ...]) -> str | None:
    twin = next((other for other in ports if other.number == port.number and other.variable < port.variable), None)
    if twin is not None:
        return f"{port.variable} and {twin.variable} are both {port.number}: give one of them another port."
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
            probe.listen(1)
        except OSError as error:
            if port.by_root and error.errno == errno.EACCES:
                if not _is_listening(port.number):
                    return None
                error = OSError(errno.EADDRINUSE, "taken")
            return _sentence(port, error, {other.number for other in ports})
    return None


def _is_listening(number: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", number)) == 0


def _sentence(port: Port, error: OSError, used: set[int]) -> str:
    if error.errno == errno.EADDRINUSE:
        owner = processes.listener(port.number)
        beyond = port.number + 7999 if port.number < _FIRST_FREE_FOR_ALL else port.number
        who = f"by process {owner.pid} ({owner.command})" if owner else "by a process that is not yours to see"
        return (
            f"Port {port.number} ({port.purpose}) is taken {who}. "
            f"End that, or choose another port: make up {port.variable}={_suggestion(beyond, used)}"
        )
    if error.errno == errno.EACCES and port.number < _FIRST_FREE_FOR_ALL:
        return (
            f"Port {port.number} ({port.purpose}) is only for root. "
            f"Choose one from {_FIRST_FREE_FOR_ALL} on: make up {port.variable}={_suggestion(port.number + 7999, used)}"
        )
    return f"{port.host}:{port.number} ({port.purpose}, {port.variable}) cannot be listened on: {error.strerror}."


def _suggestion(number: int, used: set[int]) -> int:
    """The nearest free port above `number` that is not in `used`, so that the line can be typed as it stands."""
    for candidate in range(number + 1, min(number + 100, 65_536)):
        if candidate in used:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    return number + 1
