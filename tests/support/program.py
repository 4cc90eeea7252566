"""Programs under test: started with a log of their own, ended by their pid, and nothing else is."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"
HOST = "127.0.0.1"
_TAIL = 6_000
_PARENT_DEATH = (str(PYTHON), "-m", "launcher.parent_death")
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
# Below Linux' range for outgoing connections, so that none of the thousands that tests open takes a server's port.
_PORTS = range(20_000, 32_000)
_given: set[int] = set()


class StartError(Exception):
    """A program did not come up; the text holds the end of its log."""


def free_port() -> int:
    """A port of this machine that nothing listens on, and that no other part of this session was given."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - not a secret
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                if port not in _given:
                    _given.add(port)
                    return port


def until(condition: Callable[[], bool], seconds: float, what: str, pause: float = 0.02) -> float:
    """Waits for a condition; returns the seconds that it took. A failure says what did not happen."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return time.monotonic() - began


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Processes stand still inside it. A signal alone lets a thread go on for a moment, which answers a request."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: all(_stands_still(pid) for pid in pids), 10, "they stand still")
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it may be killed meanwhile
                os.kill(pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    """Whether each of its threads is stopped."""
    try:
        threads = [file.read_text("utf-8", "replace") for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # one of them has just ended
        return False
    return all(thread.rpartition(")")[2].split()[0] == "T" for thread in threads)


class Program:
    """A running program, tied to the life of the tests: should they be killed, it is told to end.

    Args:
        name: For messages and the log's name.
        command: What to run, in the root of the repository.
        environment: Its variables; of the tests' own only a few that every program needs are passed on.
        directory: Where its log goes.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        self.name = name
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / f"{name}-{len(list(directory.glob(f'{name}-*.log')))}.log"
        kept = {variable: os.environ[variable] for variable in _KEPT if variable in os.environ}
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                (*_PARENT_DEATH, str(os.getpid()), str(int(signal.SIGTERM)), *command),
                cwd=ROOT,
                env={**kept, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def text(self) -> str:
        """Its whole log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ready(self, condition: Callable[[], bool], seconds: float) -> None:
        """Waits until it is up.

        Raises:
            StartError: It ended, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if self.exit_code is not None or time.monotonic() > deadline:
                why = "ended with" if self.exit_code is not None else f"was not up after {seconds:g} s, exit code"
                raise StartError(f"{self.name} {why} {self.exit_code}; its log:\n{self.text()[-_TAIL:]}")
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the program itself, not to its children."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Ends it and its group with SIGKILL; programs in groups of their own get the parent death signal."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, seconds: float = 20.0) -> None:
        """Ends it gently, and if that does not work, at once."""
        if self.exit_code is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def children(self) -> list[int]:
        """The pids of its direct children, the oldest first."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return sorted(int(pid) for pid in listed.split())
