"""Talks to the supervisord of this stack over its Unix socket; no port of it exists."""

import http.client
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path

from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]  # supervisor ships no types


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised program; `state` is supervisord's word, `uptime_s` counts from its last start."""

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
    """What supervisord says of its programs; None when nobody answers on `socket`."""
    transport = SupervisorTransport(None, None, f"unix://{socket}")
    try:
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            answer = proxy.supervisor.getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return None
    return tuple(_program(item) for item in answer) if isinstance(answer, list) else None


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
