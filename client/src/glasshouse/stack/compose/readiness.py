"""Waits until the stack in Docker answers, says why it does not, and describes the state of its containers."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from glasshouse.api import Api
from glasshouse.console import Progress, indented
from glasshouse.errors import ApiError, StackError
from glasshouse.settings import Kind, Settings
from glasshouse.stack.base import ServiceStatus
from glasshouse.stack.compose.docker import Container, Docker
from glasshouse.stack.endpoint import Endpoint, why_not_ready
from glasshouse.stack.machine import TOOLKIT

# Requests are answered without the others.
_REQUIRED = {"init", "nginx", "api", "vllm", "llamacpp"}
ENGINES = {"vllm", "llamacpp"}
ONE_SHOT = ("init", "certificate-init", "grafana-init")  # they do one thing and end, in this order
_POLL_S = 0.5
_CHECK_INTERVAL_S = 3.0
_MAX_LOG_LINES = 12
# One restart may be an accident, such as an engine that was killed for memory; a fault comes back.
_MAX_RESTARTS = 1


@dataclass(frozen=True, slots=True)
class RestartCounts:
    """How often containers have been restarted during this `up`; Docker counts since it created each of them.

    Docker begins from zero with a new container, and with one that was stopped and is started; a count that has become
    smaller has begun anew.
    """

    _before: dict[str, int] = field(default_factory=dict)

    @classmethod
    def before(cls, containers: Iterable[Container]) -> Self:
        """What does not count: the restarts so far of those that run, except one that is under way."""
        return cls({each.id: each.restarts - (each.state == "restarting") for each in containers if each.is_running})

    def since(self, container: Container) -> int:
        """How often this container has been restarted since."""
        before = self._before.get(container.id, 0)
        if container.restarts < before:
            before = self._before[container.id] = 0
        return container.restarts - before


def wait(settings: Settings, docker: Docker, kind: Kind, endpoint: Endpoint, restarts: RestartCounts) -> float:
    """Waits until the endpoint reports that an engine generates; returns the seconds.

    Raises:
        StackError: A container ended, the engine has failed, or START_TIMEOUT passed; the text holds log lines.
    """
    timeout, last_check = settings.start_timeouts[kind], 0.0
    with Progress() as progress:
        while (pending := why_not_ready("the API", endpoint.url, endpoint.certificate)) is not None:
            progress.show(f"waiting for {pending}")
            if progress.seconds - last_check > _CHECK_INTERVAL_S:
                last_check = progress.seconds
                _check(settings, docker, endpoint, restarts)
            if progress.seconds > timeout:
                suspects = [each for each in docker.containers() if each.service in ENGINES | {"api"}]
                raise StackError(
                    f"Not ready after {timeout} s (START_TIMEOUT); still waiting for {pending}\n"
                    + _log_tails(docker, suspects)
                )
            time.sleep(_POLL_S)
        return progress.seconds


def explain_failure(docker: Docker, containers: Iterable[Container], restarts: RestartCounts) -> str:
    """Why a start failed, as far as the containers show."""
    failed = [(each, reason) for each in containers if (reason := _failure(each, restarts.since(each)))]
    sentences = [f"{container.service} cannot start: {reason}." for container, reason in failed]
    text = "\n".join(sentences) or "Docker could not start everything; the lines above say why."
    return f"{text}\n{_log_tails(docker, [container for container, _ in failed])}".rstrip()


def print_missing(containers: Iterable[Container], restarts: RestartCounts) -> None:
    """Names the containers that do not run though the stack answers."""
    missing = [
        each.service
        for each in containers
        if each.service not in _REQUIRED and (each.state == "restarting" or _failure(each, restarts.since(each)))
    ]
    if missing:
        print(f"\nNot running: {', '.join(missing)}. Why: make logs SERVICE={missing[0]}")


def status_of(container: Container) -> ServiceStatus:
    """A container as `ps` shows it: by its state now, not by its past."""
    if container.is_running:
        is_failing = container.state == "restarting" or container.health == "unhealthy"
        word = "failing" if is_failing else "starting" if container.health == "starting" else "running"
        return ServiceStatus(container.service, word, None, uptime_s(container.started_at))
    if container.state == "exited" and container.exit_status == 0:
        word = "done" if container.service in ONE_SHOT else "off"
    else:
        word = "failing" if _failure(container, 0) else "off"
    return ServiceStatus(container.service, word, None, None)


def uptime_s(started_at: str) -> float:
    """Seconds since a time as Docker writes it, with nine digits behind the point."""
    try:
        then = datetime.fromisoformat(re.sub(r"\.\d+", "", started_at))
    except ValueError:
        return 0.0
    return max((datetime.now(UTC) - then).total_seconds(), 0.0)


def _check(settings: Settings, docker: Docker, endpoint: Endpoint, restarts: RestartCounts) -> None:
    """Sees early that there will never be an answer.

    Raises:
        StackError: A required container has ended, or every engine has failed.
    """
    containers = docker.containers()
    failed = [each for each in containers if each.service in _REQUIRED and _failure(each, restarts.since(each))]
    if failed:
        raise StackError(explain_failure(docker, failed, restarts))
    if not any(each.is_running for each in containers):
        raise StackError("The containers have been ended by another command.")
    if (failed_engine := _failed_engine(settings, endpoint)) is not None:
        name, reason = failed_engine
        logs = _log_tails(docker, [each for each in containers if each.service == name])
        raise StackError(f"{name} cannot start: {reason}\n{logs}")


def _failure(container: Container, restarts: int) -> str:
    """What is wrong with a container that was restarted so often in this start; empty where nothing is."""
    if "could not select device driver" in container.error:
        return f"{container.error.rstrip('.')}; {TOOLKIT}"
    if container.error:
        return container.error.rstrip(".")
    if container.is_running and restarts > _MAX_RESTARTS:
        return f"it ends by itself, and has been started again {restarts} times"
    has_ended = container.state in {"exited", "dead"}
    return f"it ended with status {container.exit_status}" if has_ended and container.exit_status else ""


def _failed_engine(settings: Settings, endpoint: Endpoint) -> tuple[str, str] | None:
    """An engine and its reason, when every engine has failed; None else, or when the API does not say."""
    try:
        key = settings.api_key_file.read_text(encoding="utf-8").strip()
        with Api(endpoint.url, certificate=endpoint.certificate, key=key) as api:
            engines = api.get("/models/status").checked().get("engines")
    except (ApiError, OSError, UnicodeDecodeError):
        return None
    if not isinstance(engines, dict) or not engines:
        return None
    states = {name: engine for name, engine in engines.items() if isinstance(engine, dict)}
    if any(engine.get("state") != "failed" for engine in states.values()):
        return None
    name, engine = next(iter(states.items()))
    return str(name), str(engine.get("reason") or "it does not say why")


def _log_tails(docker: Docker, containers: Iterable[Container]) -> str:
    parts = []
    for container in containers:
        if container.state != "created":  # it never wrote a line
            lines = docker.tail(container, _MAX_LOG_LINES) or ["(nothing)"]
            parts.append(f"  The end of {container.service}'s log:\n{indented(lines)}")
    return "\n".join(parts)
