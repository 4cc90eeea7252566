"""The ports that a start needs, checked before anything is started."""

import errno
import socket
from dataclasses import dataclass

import psutil

from glasshouse.errors import PortError
from glasshouse.stack import processes

_FIRST_UNPRIVILEGED = 1024


@dataclass(frozen=True, slots=True)
class Port:
    """A port that `purpose` will listen on, and the variable that changes it; `by_root` where Docker binds it."""

    number: int
    host: str
    purpose: str
    variable: str
    by_root: bool = False


def check(ports: tuple[Port, ...]) -> None:
    """Checks that every port is available.

    Raises:
        PortError: One is taken, needs rights, or is named twice. The text names all of them, a line each.
    """
    problems = [problem for port in ports if (problem := _problem(port, ports)) is not None]
    if problems:
        raise PortError("\n".join(problems))


def _problem(port: Port, ports: tuple[Port, ...]) -> str | None:
    other = next((each for each in ports if each.number == port.number and each.variable < port.variable), None)
    if other is not None:
        return f"{port.variable} and {other.variable} are both {port.number}: give one of them another port."
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
            return _explain(port, error, {each.number for each in ports})
    return None


def _is_listening(number: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", number)) == 0


def _listener(number: int) -> str | None:
    """The process that listens on a TCP port; None where this user cannot see it."""
    try:
        listeners = (each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN)
        pid = next(each.pid for each in listeners if each.pid and each.laddr and each.laddr.port == number)
        return processes.describe(psutil.Process(pid))
    except (psutil.Error, OSError, StopIteration):
        return None


def _explain(port: Port, error: OSError, used: set[int]) -> str:
    if error.errno == errno.EADDRINUSE:
        owner = _listener(port.number)
        start = port.number + 7999 if port.number < _FIRST_UNPRIVILEGED else port.number
        who = f"by process {owner}" if owner else "by a process that is not yours to see"
        return (
            f"Port {port.number} ({port.purpose}) is taken {who}. "
            f"End that, or choose another port: make up {port.variable}={_suggestion(start, used)}"
        )
    if error.errno == errno.EACCES and port.number < _FIRST_UNPRIVILEGED:
        return (
            f"Port {port.number} ({port.purpose}) is only for root. "
            f"Choose one from {_FIRST_UNPRIVILEGED} on: make up {port.variable}={_suggestion(port.number + 7999, used)}"
        )
    return f"{port.host}:{port.number} ({port.purpose}, {port.variable}) cannot be listened on: {error.strerror}."


def _suggestion(number: int, used: set[int]) -> int:
    """The nearest free port above `number` that is not in `used`, so that the line can be pasted as it is."""
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
