import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

import pytest

from launcher.backoff import Backoff
from launcher.child import Child, Command
from launcher.errors import ConfigurationError, EngineError
from launcher.status import Snapshot, Status
from launcher.supervisor import Supervisor, file_fingerprint, supervise

SERVES = "import time; print('loading'); print('up', flush=True); time.sleep(99)"
DIES = "print('loading'); raise SystemExit(7)"


class FakeEngine:
    """An engine whose program is a few lines of Python, the next one each time that it is started."""

    def __init__(self, *programs: str, prepare_error: Exception | None = None) -> None:
        self._programs = list(programs)
        self._prepare_error = prepare_error
        self._up = False
        self.files = 0
        self.drained = False
        self.drain_seconds = 0.0
        self.drain_delay = 0.0
        self.stop_seconds = 5.0

    def model(self) -> str:
        return "fake"

    def capacity(self) -> Mapping[str, int]:
        return {"slots": 4}

    def version(self) -> str:
        return "1.0"

    def input_fingerprint(self) -> Hashable:
        return self.files

    def prepare(self) -> Command:
        if self._prepare_error is not None:
            raise self._prepare_error
        self._up = False
        program = self._programs.pop(0) if len(self._programs) > 1 else self._programs[0]
        return Command((sys.executable, "-c", program), os.environ)

    def handle_log_line(self, line: str) -> str | None:
        self._up = self._up or line == "up"
        return line if line == "loading" else None

    def is_ready(self) -> bool:
        return self._up

    def drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        assert child.exit_code() is None
        deadline = time.monotonic() + self.drain_seconds
        while time.monotonic() < deadline and not give_up():
            time.sleep(0.01)
        self.drained = True

    def explain_exit(self, exit_code: int) -> str:
        return f"it ended with {exit_code}."


class StateTrigger:
    """Polls the status in another thread, and runs an action when a state is reached."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self.seen: list[Snapshot] = []

    def when(self, state: str, action: Callable[[], None], times: int = 1) -> None:
        def poll() -> None:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                snapshot = self._status.snapshot()
                if snapshot.state == state and snapshot.attempts >= times:
                    self.seen.append(snapshot)
                    action()
                    return
                time.sleep(0.01)

        threading.Thread(target=poll, daemon=True).start()


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_runs_until_a_signal_and_drains() -> None:
    engine, status = FakeEngine(SERVES), Status("fake")
    trigger = StateTrigger(status)
    trigger.when("ready", stop)
    before = signal.getsignal(signal.SIGTERM)
    Supervisor(engine, status, Backoff()).run()

    assert engine.drained
    assert list(trigger.seen[0].phases) == ["launching", "loading"]
    assert status.snapshot().state == "draining"
    assert signal.getsignal(signal.SIGTERM) is before


def test_draining_is_reported_before_anything_is_stopped() -> None:
    engine, status = FakeEngine(SERVES), Status("fake")
    engine.drain_delay = 1.0
    drained_when_reported: list[bool] = []
    StateTrigger(status).when("ready", stop)
    StateTrigger(status).when("draining", lambda: drained_when_reported.append(engine.drained))
    Supervisor(engine, status, Backoff()).run()

    assert drained_when_reported == [False]
    assert engine.drained


def test_the_delay_is_part_of_the_time_that_a_stop_may_take() -> None:
    engine, status = FakeEngine(SERVES), Status("fake")
    engine.drain_delay, engine.stop_seconds = 60.0, 0.2
    StateTrigger(status).when("ready", stop)
    began = time.monotonic()
    Supervisor(engine, status, Backoff()).run()

    assert time.monotonic() - began < 20
    assert not engine.drained


def test_a_second_signal_cuts_the_delay_short() -> None:
    engine, status = FakeEngine(SERVES), Status("fake")
    engine.drain_delay = engine.stop_seconds = 60.0
    StateTrigger(status).when("ready", stop)
    StateTrigger(status).when("draining", stop)
    began = time.monotonic()
    Supervisor(engine, status, Backoff()).run()

    assert time.monotonic() - began < 20


def test_an_engine_that_ends_during_the_delay_is_not_waited_for() -> None:
    engine, status = FakeEngine("import time; print('up', flush=True); time.sleep(1)"), Status("fake")
    engine.drain_delay = engine.stop_seconds = 60.0
    StateTrigger(status).when("ready", stop)
    began = time.monotonic()
    Supervisor(engine, status, Backoff()).run()

    assert time.monotonic() - began < 20
    assert not engine.drained


def test_a_second_signal_cuts_the_drain_short() -> None:
    engine, status = FakeEngine(SERVES), Status("fake")
    engine.drain_seconds = engine.stop_seconds = 60.0
    StateTrigger(status).when("ready", stop)
    StateTrigger(status).when("draining", stop)
    began = time.monotonic()
    Supervisor(engine, status, Backoff()).run()

    assert time.monotonic() - began < 20


def test_a_drain_ends_at_its_deadline() -> None:
    engine, status = FakeEngine(SERVES), Status("fake")
    engine.drain_seconds, engine.stop_seconds = 60.0, 0.2
    StateTrigger(status).when("ready", stop)
    began = time.monotonic()
    Supervisor(engine, status, Backoff()).run()

    assert time.monotonic() - began < 20


def test_a_failure_is_explained_and_retried(capfd: pytest.CaptureFixture[str]) -> None:
    engine, status = FakeEngine(DIES, SERVES), Status("fake")
    trigger = StateTrigger(status)
    trigger.when("failed", lambda: None)
    trigger.when("ready", stop)
    Supervisor(engine, status, Backoff(initial=0.3)).run()

    failed = trigger.seen[0]
    assert (failed.reason, failed.phase) == ("it ended with 7.", "loading")
    assert failed.retry_at is not None
    assert 0 < failed.retry_at - failed.since < 1
    assert status.snapshot().attempts == 2
    assert "launcher: failed: it ended with 7. Next attempt in 0.3 s" in capfd.readouterr().out


def test_a_changed_file_ends_the_backoff() -> None:
    engine, status = FakeEngine(DIES, SERVES), Status("fake")

    def change() -> None:
        engine.files += 1

    StateTrigger(status).when("failed", change)
    StateTrigger(status).when("ready", stop)
    began = time.monotonic()
    Supervisor(engine, status, Backoff(initial=60)).run()

    assert time.monotonic() - began < 20


@pytest.mark.parametrize("error", [EngineError("The port is taken."), ConfigurationError("The file is empty.")])
def test_an_engine_that_cannot_be_prepared_is_a_failure(error: Exception) -> None:
    status = Status("fake")
    trigger = StateTrigger(status)
    trigger.when("failed", stop)
    Supervisor(FakeEngine(SERVES, prepare_error=error), status, Backoff(initial=60)).run()

    assert trigger.seen[0].reason == str(error)


def test_a_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "model"
    missing = file_fingerprint(file)
    file.write_text("a")
    first = file_fingerprint(file)
    file.write_text("ab")

    assert missing is None
    assert len({missing, first, file_fingerprint(file)}) == 3


class UnstartableEngine:
    """An engine that cannot be prepared, and stops the supervisor when it is asked to start."""

    drain_delay = stop_seconds = 0.0

    def __init__(self, status_port: int = 0) -> None:
        self._status_port = status_port
        self.pages: list[str] = []

    def model(self) -> str:
        return "demo"

    def input_fingerprint(self) -> int:
        return 0

    def prepare(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._status_port}/livez", timeout=5) as response:
            self.pages.append(response.read().decode())
        os.kill(os.getpid(), signal.SIGTERM)
        raise EngineError("The port is taken.")


def test_an_engine_is_supervised_behind_its_status_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    engine = UnstartableEngine(port)
    supervise(engine, "127.0.0.1", port)  # type: ignore[arg-type]  # a fake that never gets as far as running

    assert engine.pages == ["ok\n"]


def test_a_status_port_in_use_is_a_configuration_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"^The status port 127\.0\.0\.1:{port} cannot be listened at"):
            supervise(UnstartableEngine(), "127.0.0.1", port)  # type: ignore[arg-type]  # likewise
