import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from glasshouse.errors import StackError
from glasshouse.settings import Settings
from glasshouse.stack.native.rollout import NativeRollout


class FakeSaved:
    """A backup of secrets, of which one has changed, and of a volume."""

    names = ("secrets", "secrets/engine", "volumes/prometheus-data")

    def __init__(self) -> None:
        self.restored: list[str] = []

    def differs(self, name: str) -> bool:
        return name == "secrets/engine"

    def restore(self, names: Sequence[str]) -> None:
        self.restored.extend(names)


@pytest.fixture
def asked(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a fake `make` was asked; it fails where a file says so."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "make").write_text('#!/bin/sh\necho "$1 $SHAPE" >> asked\n[ ! -e fails ]\n')
    (programs / "make").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return settings.root / "asked"


def test_the_way_back_restores_changed_secrets_and_starts_the_old_code(settings: Settings, asked: Path) -> None:
    stops: list[None] = []
    rollout, saved = NativeRollout(settings, lambda: stops.append(None)), FakeSaved()
    rollout.prepare()
    assert stops == [None]
    rollout.stop_new()
    assert rollout.roll_back(saved) == ("secrets/engine",)
    assert saved.restored == ["secrets/engine"]
    assert asked.read_text() == "down \nup native\n"
    assert rollout.complete() == ""


def test_an_old_version_that_does_not_start_is_said(settings: Settings, asked: Path) -> None:
    asked.with_name("fails").touch()
    with pytest.raises(StackError, match="The old version does not start"):
        NativeRollout(settings, lambda: None).roll_back(FakeSaved())
