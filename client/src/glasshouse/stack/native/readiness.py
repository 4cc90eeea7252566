"""Waits until the native stack answers, and fails early when it never will."""

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from glasshouse.api import Api
from glasshouse.configuration import url_host
from glasshouse.console import Progress, indented
from glasshouse.errors import ApiError, StackError
from glasshouse.settings import Settings
from glasshouse.stack.endpoint import why_not_ready
from glasshouse.stack.native import logs, supervisor

_POLL_S = 0.05
_MAX_LOG_LINES = 12
_OFF_SETTINGS = {"nginx": "NGINX=off", "prometheus": "PROMETHEUS=off"}


def wait(settings: Settings, url: str, supervisord: subprocess.Popen[bytes], log_ends: dict[str, int]) -> float:
    """Waits until the gateway is ready and, where nginx is in front of it, until `url` answers; returns the seconds.

    `log_ends` has each log's length before this start, so that no older error is shown for this one's.

    Raises:
        StackError: A program ended, or START_TIMEOUT passed; the text holds the end of the failed one's log.
    """
    gateway = f"http://{url_host(settings.gateway_host)}:{settings.gateway_port}"
    certificate = settings.certificate if url.startswith("https") else None
    start_logs = _StartLogs(settings.logs, log_ends)
    monitor = _StartMonitor(settings, supervisord, start_logs)
    timeout = settings.start_timeouts["native"]
    with Progress() as progress:
        while True:
            monitor.check()
            pending = why_not_ready("gateway", gateway, None)
            if pending is None and certificate is not None:
                pending = why_not_ready("nginx", url, certificate)
            if pending is None and monitor.has_answered:
                return progress.seconds
            _check_launcher(settings, start_logs)
            progress.show(f"waiting for {pending or 'supervisord'}")
            if progress.seconds > timeout:
                raise StackError(
                    f"Not ready after {timeout} s (START_TIMEOUT); still waiting for {pending}\n"
                    + start_logs.tails("llamacpp", "gateway")
                )
            time.sleep(_POLL_S)


@dataclass(frozen=True, slots=True)
class _StartLogs:
    """What the programs have logged during this start."""

    directory: Path
    log_ends: dict[str, int]

    def tails(self, *names: str) -> str:
        """The last lines of these programs' logs, for an error's text."""
        parts = []
        for name in names:
            lines = logs.tail(self.directory / f"{name}.log", _MAX_LOG_LINES, since=self.log_ends.get(name, 0))
            parts.append(f"  The end of {name}'s log:\n{indented(lines or ['(nothing)'])}")
        return "\n".join(parts)


@dataclass(slots=True)
class _StartMonitor:
    """Notices when supervisord or one of its programs ends during the start."""

    settings: Settings
    supervisord: subprocess.Popen[bytes]
    logs: _StartLogs
    has_answered: bool = False
    _pids: dict[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """Checks once.

        Raises:
            StackError: One of them has ended.
        """
        status = self.supervisord.poll()
        if status is not None:
            raise StackError(
                f"supervisord ended with status {status}.\n" + self.logs.tails("supervisord-start", "supervisord")
            )
        for program in supervisor.programs(self.settings.socket) or ():
            self.has_answered = True
            restarted = program.pid and self._pids.setdefault(program.name, program.pid) != program.pid
            if program.is_failing or restarted:
                raise StackError(_failure(program, self.logs))


def _check_launcher(settings: Settings, start_logs: _StartLogs) -> None:
    """Fails where the launcher reports that its engine cannot start: it tries again later, but a start need not wait.

    Raises:
        StackError: The engine has failed.
    """
    try:
        with Api(f"http://127.0.0.1:{settings.llamacpp_status_port}") as launcher:
            status = launcher.get("/status").body
    except ApiError:
        return
    if isinstance(status, dict) and status.get("state") == "failed":
        raise StackError(f"llamacpp cannot start: {status.get('reason')}\n" + start_logs.tails("llamacpp"))


def _failure(program: supervisor.Program, start_logs: _StartLogs) -> str:
    reason = program.problem or f"ended with status {program.exit_status}"
    if program.problem and "exited too quickly" in program.problem.lower():
        reason = "ended right after its start"
    text = f"{program.name} cannot start: it {reason}.\n" + start_logs.tails(program.name)
    if program.name in _OFF_SETTINGS:
        text += f"\n  Without it: make up {_OFF_SETTINGS[program.name]}"
    return text
