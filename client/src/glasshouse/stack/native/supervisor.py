"""The API of this stack's supervisord, over its Unix socket; it listens on no port."""

import http.client
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]  # supervisor ships no types

from glasshouse.errors import StackError


@dataclass(frozen=True, slots=True)
class Program:
    """A supervised program; `state` is supervisord's word, `uptime_s` counts from its last start."""

    name: str
    state: str
    pid: int
    uptime_s: int
    exit_status: int
    problem: str

    @property
    def is_failing(self) -> bool:
        """It ended by itself or could not be started; supervisord tries again after a pause."""
        return self.state in {"BACKOFF", "EXITED", "FATAL"}


def programs(socket: Path) -> tuple[Program, ...] | None:
    """What supervisord knows of its programs; None when nobody answers on `socket`."""
    try:
        with _proxy(socket) as proxy:
            answer = proxy.supervisor.getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return None
    return tuple(_program(item) for item in answer) if isinstance(answer, list) else None


def stop_program(socket: Path, name: str) -> None:
    """Has supervisord stop a program, and waits for it.

    Raises:
        StackError: supervisord does not.
    """
    _change(socket, "stop", name)


def start_program(socket: Path, name: str) -> None:
    """Has supervisord start a program, and waits for it.

    Raises:
        StackError: supervisord does not.
    """
    _change(socket, "start", name)


def _change(socket: Path, verb: Literal["start", "stop"], name: str) -> None:
    try:
        with _proxy(socket) as proxy:
            supervisor = proxy.supervisor
            (supervisor.startProcess if verb == "start" else supervisor.stopProcess)(name, True)
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise StackError(f"supervisord did not {verb} {name}: {error}.") from error


def _proxy(socket: Path) -> xmlrpc.client.ServerProxy:
    transport = SupervisorTransport(None, None, f"unix://{socket}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)


def _program(item: dict[str, object]) -> Program:
    numbers = {name: int(str(item[name])) for name in ("pid", "start", "now", "exitstatus")}
    return Program(
        name=str(item["name"]),
        state=str(item["statename"]),
        pid=numbers["pid"],
        uptime_s=max(numbers["now"] - numbers["start"], 0) if numbers["pid"] else 0,
        exit_status=numbers["exitstatus"],
        problem=str(item["spawnerr"]),
    )
