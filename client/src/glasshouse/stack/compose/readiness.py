"""Watches the containers of a stack: until it answers, why it does not, and how each of them is."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from glasshouse.api import Api
from glasshouse.errors import ApiError, StackError
from glasshouse.screen import Progress, duration, indented
from glasshouse.settings import Kind, Settings
from glasshouse.stack.compose.docker import Container, Docker
from glasshouse.stack.endpoint import Front
from glasshouse.stack.machine import TOOLKIT
from glasshouse.stack.native.readiness import not_ready

# Without the others requests are answered all the same.
_NEEDED = {"init", "nginx", "api", "vllm", "llamacpp"}
ENGINES = {"vllm", "llamacpp"}
ONCE = ("init", "certificate-init", "grafana-init")  # they do one thing and end, in this order
_POLL_S = 0.5
_LOOK_S = 3.0
_SHOWN_LINES = 12
# One restart may be an accident, such as an engine that was killed for memory; a fault comes back.
_MANY_RESTARTS = 2


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often containers have been restarted during this `up`; Docker counts since it created each of them.

    Docker begins from zero with a new container, and with one that was stopped and is started; a count that has become
    smaller has begun anew.
    """

    _before: dict[str, int] = field(default_factory=dict)

    @classmethod
    def so_far(cls, containers: Iterable[Container]) -> Self:
        """What does not count: the restarts of those that run, except the one that is under way."""
        return cls({one.number: one.restarts - (one.state == "restarting") for one in containers if one.is_running})

    def since(self, one: Container) -> int:
        """How often this container has been restarted since."""
        before = self._before.get(one.number, 0)
        if one.restarts < before:
            before = self._before[one.number] = 0
        return one.restarts - before


def wait(settings: Settings, docker: Docker, kind: Kind, front: Front, restarts: Restarts) -> float:
    """Waits until the front door says that an engine generates; returns the seconds.

    Raises:
        StackError: A container ended, the engine has failed, or START_TIMEOUT passed; the text holds log lines.
    """
    timeout, looked = settings.start_timeouts[kind], 0.0
    with Progress() as progress:
        while (waiting_for := not_ready("the API", front.url, front.certificate)) is not None:
            progress.show(f"waiting for {waiting_for}")
            if progress.seconds - looked > _LOOK_S:
                looked = progress.seconds
                _check(settings, docker, front, restarts)
            if progress.seconds > timeout:
                guilty = [one for one in docker.containers() if one.service in ENGINES | {"api"}]
                raise StackError(
                    f"Not ready after {timeout} s (START_TIMEOUT); still waiting for {waiting_for}\n"
                    + _tails(docker, guilty)
                )
            time.sleep(_POLL_S)
        return progress.seconds


def why_not(docker: Docker, containers: tuple[Container, ...], restarts: Restarts) -> str:
    """Why a start failed, as far as the containers tell."""
    troubles = [(one, trouble) for one in containers if (trouble := _trouble(one, restarts.since(one)))]
    guilty = [one for one, _ in troubles]
    sentences = [f"{one.service} cannot start: {trouble}." for one, trouble in troubles]
    text = "\n".join(sentences) or "Docker could not start everything; the lines above say why."
    return f"{text}\n{_tails(docker, guilty)}".rstrip()


def print_absent(containers: tuple[Container, ...], restarts: Restarts) -> None:
    """Names the containers that do not run though the stack answers."""
    absent = [
        one.service
        for one in containers
        if one.service not in _NEEDED and (one.state == "restarting" or _trouble(one, restarts.since(one)))
    ]
    if absent:
        print(f"\nNot running: {', '.join(absent)}. Why: make logs SERVICE={absent[0]}")


def row(one: Container) -> tuple[str, str, str]:
    """A container as a line of `ps`: its service, its state in a word, and since when."""
    if one.is_running:
        bad = one.state == "restarting" or one.health == "unhealthy"
        word = "failing" if bad else "starting" if one.health == "starting" else "running"
        return one.service, word, duration(age(one.started))
    if one.state == "exited" and one.exit_status == 0:
        return one.service, "done" if one.service in ONCE else "off", "-"
    return one.service, "failing" if _trouble(one, 0) else "off", "-"


def _check(settings: Settings, docker: Docker, front: Front, restarts: Restarts) -> None:
    """Sees early that there will never be an answer.

    Raises:
        StackError: A container that is needed has ended, or every engine has failed.
    """
    containers = docker.containers()
    bad = tuple(one for one in containers if one.service in _NEEDED and _trouble(one, restarts.since(one)))
    if bad:
        raise StackError(why_not(docker, bad, restarts))
    if not any(one.is_running for one in containers):
        raise StackError("The containers have been ended by another command.")
    if (failed := _failed_engine(settings, front)) is not None:
        name, reason = failed
        raise StackError(
            f"{name} cannot start: {reason}\n" + _tails(docker, [one for one in containers if one.service == name])
        )


def _trouble(one: Container, restarts: int) -> str:
    """What is wrong with a container that has been restarted so often in this start; empty where nothing is."""
    if "could not select device driver" in one.error:
        return f"{one.error.rstrip('.')}; {TOOLKIT}"
    if one.error:
        return one.error.rstrip(".")
    if one.is_running and restarts >= _MANY_RESTARTS:
        return f"it ends by itself, and has been started again {restarts} times"
    ended = one.state in {"exited", "dead"}
    return f"it ended with status {one.exit_status}" if ended and one.exit_status else ""


def _failed_engine(settings: Settings, front: Front) -> tuple[str, str] | None:
    """An engine and its reason, when every engine has failed; None else, or when nobody tells."""
    try:
        key = settings.api_key_file.read_text(encoding="utf-8").strip()
        with Api(front.url, certificate=front.certificate, key=key) as api:
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


def _tails(docker: Docker, containers: list[Container]) -> str:
    parts = []
    for one in (one for one in containers if one.state != "created"):  # such a one never said a word
        lines = docker.tail(one, _SHOWN_LINES) or ["(nothing)"]
        parts.append(f"  The end of {one.service}'s log:\n{indented(lines)}")
    return "\n".join(parts)


def age(started: str) -> float:
    """Seconds since a moment as Docker writes it, with nine digits behind the point."""
    try:
        then = datetime.fromisoformat(re.sub(r"\.\d+", "", started))
    except ValueError:
        return 0.0
    return max((datetime.now(UTC) - then).total_seconds(), 0.0)
