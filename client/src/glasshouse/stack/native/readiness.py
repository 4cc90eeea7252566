"""Waits until the stack answers, and sees early when it never will."""

import http
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from glasshouse.api import Api
from glasshouse.configuration import url_host
from glasshouse.errors import ApiError, StackError
from glasshouse.screen import Progress, indented
from glasshouse.settings import Settings
from glasshouse.stack.native import logs, supervisor

_POLL_S = 0.05
_SHOWN_LINES = 12
_OPTIONAL = {"nginx": "NGINX=off", "prometheus": "PROMETHEUS=off"}


def wait(settings: Settings, url: str, supervisord: subprocess.Popen[bytes], log_ends: dict[str, int]) -> float:
    """Waits until the gateway is ready and, where nginx stands before it, until `url` answers; returns the seconds.

    `log_ends` tells where each log ended before this start, so that no older trouble is shown for this one's.

    Raises:
        StackError: A program ended, or START_TIMEOUT passed; the text holds the end of the guilty one's log.
    """
    gateway = f"http://{url_host(settings.gateway_host)}:{settings.gateway_port}"
    certificate = settings.certificate if url.startswith("https") else None
    evidence = _Evidence(settings.logs, log_ends)
    watch = _Watch(settings, supervisord, evidence)
    timeout = settings.start_timeouts["native"]
    with Progress() as progress:
        while True:
            watch.check()
            waiting_for = not_ready("gateway", gateway, None)
            if waiting_for is None and certificate is not None:
                waiting_for = not_ready("nginx", url, certificate)
            if waiting_for is None and watch.has_answered:
                return progress.seconds
            _check_launcher(settings, evidence)
            progress.show(f"waiting for {waiting_for or 'supervisord'}")
            if progress.seconds > timeout:
                raise StackError(
                    f"Not ready after {timeout} s (START_TIMEOUT); still waiting for {waiting_for}\n"
                    + evidence.tails("llamacpp", "gateway")
                )
            time.sleep(_POLL_S)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What the programs wrote during this start."""

    directory: Path
    log_ends: dict[str, int]

    def tails(self, *names: str) -> str:
        """The last lines of these programs' logs, ready to be shown."""
        parts = []
        for name in names:
            lines = logs.tail(self.directory / f"{name}.log", _SHOWN_LINES, since=self.log_ends.get(name, 0))
            parts.append(f"  The end of {name}'s log:\n{indented(lines or ['(nothing)'])}")
        return "\n".join(parts)


@dataclass(slots=True)
class _Watch:
    """Sees when supervisord or one of its programs ends during the start."""

    settings: Settings
    supervisord: subprocess.Popen[bytes]
    evidence: _Evidence
    has_answered: bool = False
    _pids: dict[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """Looks once.

        Raises:
            StackError: One has ended.
        """
        status = self.supervisord.poll()
        if status is not None:
            raise StackError(
                f"supervisord ended with status {status}.\n" + self.evidence.tails("supervisord-start", "supervisord")
            )
        for program in supervisor.programs(self.settings.socket) or ():
            self.has_answered = True
            restarted = program.pid and self._pids.setdefault(program.name, program.pid) != program.pid
            if program.is_failing or restarted:
                raise StackError(_failure(program, self.evidence))


def _check_launcher(settings: Settings, evidence: _Evidence) -> None:
    """A launcher whose engine cannot start stays alive, says why, and tries again later; a first start need not wait.

    Raises:
        StackError: The engine has failed.
    """
    try:
        with Api(f"http://127.0.0.1:{settings.llamacpp_status_port}") as launcher:
            status = launcher.get("/status").body
    except ApiError:
        return
    if isinstance(status, dict) and status.get("state") == "failed":
        raise StackError(f"llamacpp cannot start: {status.get('reason')}\n" + evidence.tails("llamacpp"))


def _failure(program: supervisor.Program, evidence: _Evidence) -> str:
    how = program.problem or f"ended with status {program.exit_status}"
    if program.problem and "exited too quickly" in program.problem.lower():
        how = "ended right after its start"
    text = f"{program.name} cannot start: it {how}.\n" + evidence.tails(program.name)
    if program.name in _OPTIONAL:
        text += f"\n  Without it: make up {_OPTIONAL[program.name]}"
    return text


def not_ready(name: str, url: str, certificate: Path | None) -> str | None:
    """What is being waited for, in words; None when the answer of /readyz is 200.

    Without TLS it is asked for as /healthz, which nginx does not send on to HTTPS.
    """
    try:
        with Api(url, certificate=certificate) as api:
            answer = api.get("/readyz" if certificate else "/healthz")
    except ApiError:
        return f"{name} to listen"
    if answer.status == http.HTTPStatus.OK:
        return None
    return f"{name}: {answer.reason or f'it answers {answer.status}'}"
