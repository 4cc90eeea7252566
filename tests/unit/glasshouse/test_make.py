import os
from pathlib import Path

import pytest

from glasshouse.errors import UpgradeError
from glasshouse.make import make


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `make` that writes down what it was given, and fails for the target `broken`."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program = directory / "make"
    program.write_text('#!/bin/sh\necho "$1 $SHAPE ${MAKEFLAGS:-none} $PWD" >> asked\n[ "$1" != broken ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    return directory


@pytest.mark.usefixtures("programs")
def test_a_target_runs_in_the_checkout_without_our_own_makes_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-- VERSION=x")
    assert make(tmp_path, "up", own_session=True, SHAPE="native") == 0
    assert make(tmp_path, "broken") == 1
    assert (tmp_path / "asked").read_text() == f"up native none {tmp_path}\nbroken  none {tmp_path}\n"


def test_no_make_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UpgradeError, match="make cannot be run: No such file"):
        make(tmp_path, "up")
