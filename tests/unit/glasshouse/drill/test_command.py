import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.unit.glasshouse.command_line import Run, runner
from tests.unit.glasshouse.drill.conftest import FakeRig

from glasshouse.drill.catalogue import FAULTS
from glasshouse.drill.fault import Fault
from glasshouse.drill.journal import Journal
from glasshouse.drill.outcome import FaultOutcome, Outcome
from glasshouse.drill.session import Session
from glasshouse.drill.watch import Sighting
from glasshouse.errors import StackError
from glasshouse.stack.native.stack import NativeStack

SEEN = Sighting("TargetDown", "x", 0, 300, fired_s=1, delivered_s=2, resolved_s=3)


class FakeStack:
    """A stack in Docker whose rig is a fake."""

    def __init__(self, rig: FakeRig) -> None:
        self._rig = rig

    def rig(self) -> FakeRig:
        return self._rig


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rig: FakeRig) -> Run:
    (root / ".run").mkdir()
    monkeypatch.setattr("glasshouse.drill.command.detect.running", lambda _: FakeStack(rig))
    return runner(root, monkeypatch, capsys)


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[list[Fault]], Outcome]], None]:
    """What a session returns."""

    def replace(result: Callable[[Any], Outcome]) -> None:
        monkeypatch.setattr(Session, "run", lambda _self, faults: result(faults))

    return replace


def complete(faults: list[Fault]) -> Outcome:
    return Outcome([FaultOutcome(fault, [SEEN]) for fault in faults], {})


def test_the_list_names_every_fault_and_does_nothing(run: Run, rig: FakeRig) -> None:
    done = run("drill", "--list")
    assert (done.status, rig.done) == (0, [])
    for fault in FAULTS:
        assert fault.name in done.out
        assert fault.title in done.out


def test_a_drill_reports_and_leaves_nothing(run: Run, rig: FakeRig, root: Path, outcomes: Any) -> None:
    outcomes(complete)
    report = root / "report.md"
    done = run("drill", "--yes", "--only", "gpu", "--report", str(report))
    assert done.status == 0, done.err
    assert "gpu    TargetDown  1.0 s" in done.out
    assert "| gpu | TargetDown |" in report.read_text()
    assert rig.done == ["remove stand-ins"]
    assert not (root / ".run" / "drill.json").exists()


def test_json_is_all_that_is_printed(run: Run, outcomes: Any) -> None:
    outcomes(complete)
    assert json.loads(run("drill", "--yes", "--json").out)["complete"] is True


def test_something_that_was_not_seen_is_a_failure(run: Run, outcomes: Any) -> None:
    outcomes(lambda faults: Outcome([FaultOutcome(faults[0], [Sighting("TargetDown", "x", 0, 300)])], {}))
    assert run("drill", "--yes").status == 1


def test_nobody_is_asked_without_a_terminal(run: Run, rig: FakeRig) -> None:
    done = run("drill")
    assert done.status == 2
    assert "--yes" in done.err
    assert "nobody (ALERTS_TO), where they are discarded" in done.err
    assert rig.done == []


def test_an_unknown_fault_is_named_with_those_that_there_are(run: Run) -> None:
    done = run("drill", "--yes", "--only", "everything")
    assert done.status == 2
    assert "There is no fault 'everything': use part-down, engine-stopped" in done.err


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (StackError("it broke"), 1)])
def test_everything_is_undone_when_it_ends_early(
    run: Run, rig: FakeRig, root: Path, outcomes: Any, error: BaseException, status: int
) -> None:
    def fail(_faults: list[Fault]) -> Outcome:
        Journal(root / ".run" / "drill.json").add(stopped="node-exporter")
        raise error

    outcomes(fail)
    assert run("drill", "--yes").status == status
    assert rig.done == ["start node-exporter", "remove stand-ins"]
    assert not (root / ".run" / "drill.json").exists()


def test_a_drill_first_undoes_one_that_was_killed(run: Run, rig: FakeRig, root: Path, outcomes: Any) -> None:
    outcomes(complete)
    Journal(root / ".run" / "drill.json").begin().add(stopped="node-exporter")
    assert run("drill", "--yes").status == 0
    assert rig.done == ["start node-exporter", "remove stand-ins", "remove stand-ins"]


def test_undo_undoes_what_was_left_and_nothing_else(run: Run, rig: FakeRig, root: Path) -> None:
    assert run("drill", "--undo").out == "No drill has left anything; nothing to undo.\n"
    assert rig.done == []
    Journal(root / ".run" / "drill.json").begin().add(stopped="node-exporter")
    assert run("drill", "--undo").out == "The drill has been undone.\n"
    assert rig.done == ["start node-exporter", "remove stand-ins"]


def test_undo_without_a_running_stack_leaves_no_targets_for_the_next_start(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasshouse.drill.command.detect.running", lambda _: None)
    (root / "prometheus").unlink()
    targets = root / "prometheus" / "drill" / "targets.json"
    targets.parent.mkdir(parents=True)
    targets.touch()
    Journal(root / ".run" / "drill.json").begin().add(stopped="node-exporter")
    assert run("drill", "--undo").status == 0
    assert not targets.exists()
    assert not (root / ".run" / "drill.json").exists()


def test_two_drills_at_once_are_refused(run: Run, root: Path) -> None:
    with (root / ".run" / "drill.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("drill", "--yes")
    assert done.status == 1
    assert "Another drill is running" in done.err


def test_a_stack_that_does_not_run_and_one_without_grafana_say_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr("glasshouse.drill.command.detect.running", lambda _: None)
    assert "make up" in run("drill", "--yes").err
    monkeypatch.setattr("glasshouse.drill.command.detect.running", lambda _: NativeStack(settings))
    done = run("drill", "--yes")
    assert done.status == 1
    assert "no Grafana" in done.err


def test_who_asks_may_say_no(run: Run, rig: FakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glasshouse.drill.command.os.isatty", lambda _: True)
    monkeypatch.setattr("typer.confirm", _refuse)
    assert run("drill").status == 1
    assert rig.done == []


def _refuse(*_: object, **__: object) -> None:
    raise typer.Abort


def test_a_killed_drill_is_undone_by_its_guard(root: Path) -> None:
    """The guard becomes `glasshouse drill --undo`, which here finds nothing that runs."""
    (root / "prometheus").unlink()  # this repository's own
    (root / ".run").mkdir()
    journal = Journal(root / ".run" / "drill.json").begin()
    guard = [sys.executable, "-m", "glasshouse.drill.guard"]
    for word, is_open in ((b"done", True), (b"", False)):
        subprocess.run(guard, cwd=root, env={"PATH": str(root / "bin")}, input=word, check=True)
        assert journal.is_open == is_open


def test_the_guard_outlives_the_drills_process(root: Path) -> None:
    (root / ".run").mkdir()
    script = (
        "import os, pathlib, signal; from glasshouse import settings; from glasshouse.drill.guard import guard\n"
        f"with guard(settings.load(pathlib.Path({str(root)!r}), os.environ)): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=root, check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
