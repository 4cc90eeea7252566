"""A machine made of stubs: the programs on a PATH of its own, and the files that its kernel and services would show."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse.doctor.finding import Check, Target
from glasshouse.settings import Kind, load
from glasshouse.stack import machine
from glasshouse.system import System


@dataclass
class Stub:
    """What a test makes of the machine, and what a check finds on it."""

    docker: FakeDocker
    place: Path

    def file(self, name: str, text: str) -> Path:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def answers(self, program: str, message: str, status: int = 0) -> None:
        """Puts a program on the PATH that always says the same."""
        self.docker.program(program, f"#!/bin/sh\necho '{message}'\nexit {status}\n")

    def target(self, kind: Kind = "cpu", **variables: str) -> Target:
        settings = load(self.docker.root, {"PATH": self.docker.path, **variables})
        system = System(settings.given)
        return Target(settings, system, machine.inspect(system), kind)

    def finds(self, check: Check, kind: Kind = "cpu", **variables: str) -> tuple[str, str, str]:
        """The one finding of a check: its level, its text and the remedy."""
        (found,) = check(self.target(kind, **variables))
        return found.level, found.text, found.remedy


@pytest.fixture
def stub(docker: FakeDocker, bare: Path) -> Stub:
    return Stub(docker, bare)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the bytes that are free on every disk."""

    def free(count: float) -> None:
        usage: Any = shutil._ntuple_diskusage(10**15, 0, int(count))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    return free
