"""An engine as a child process: its process group, its log, its exit."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from launcher.errors import EngineError

_POLL_SECONDS = 0.05
_TERM_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run.

    Attributes:
        argv: program and arguments.
        env: its whole environment.
        stdin: what it reads first, e.g. secrets, which arguments and environment would expose.
        death_signal: what the kernel sends it when the launcher dies.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    stdin: bytes = field(default=b"", repr=False)
    death_signal: signal.Signals = signal.SIGKILL


class Child:
    """A running engine. Every line it writes goes to `on_line`, in a thread of its own.

    Create it in the main thread: the death signal is tied to the thread that created it.

    Raises:
        EngineError: the program cannot be run.
    """

    def __init__(self, command: Command, on_line: Callable[[str], None]) -> None:
        wrapper = (sys.executable, "-m", "launcher.parent_death", str(os.getpid()), str(int(command.death_signal)))
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- starting the operator's engine is what this is for
                (*wrapper, *command.argv),
                env=dict(command.env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # one group to kill, and Ctrl-C reaches only the launcher, which drains first
            )
        except OSError as error:
            raise EngineError(f"{command.argv[0]} cannot be run: {error.strerror}.") from error
        self._on_line = on_line
        self._closed = False
        self._reader = threading.Thread(target=self._read, name="engine-log", daemon=True)
        self._reader.start()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(command.stdin)

    @property
    def pid(self) -> int:
        """The process id, which is the id of its group too."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, minus the signal's number when one killed it; None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Send SIGTERM to the engine itself, not to its group: the order in which its processes stop is its own."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def wait(self, seconds: float, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Wait for its exit until the time is up or `give_up` returns true; True when it has exited."""
        deadline = time.monotonic() + seconds
        while self.exit_code() is None:
            if time.monotonic() >= deadline or give_up():
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Kill the engine and whatever is left of its group; returns when nothing of it runs and its log is read."""
        if self._closed:  # its process id may have been reused
            return
        self._closed = True
        if self.exit_code() is None:
            self._signal_group(signal.SIGTERM)
            self.wait(_TERM_SECONDS)
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        self._reader.join(timeout=_TERM_SECONDS)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        if self._process.stdout is None:  # it is a pipe: this is for the type checker
            return
        # Progress bars end their lines with a carriage return, which universal newlines treats as a line's end.
        with io.TextIOWrapper(self._process.stdout, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if text := line.rstrip():
                    self._on_line(text)


def describe_exit(program: str, exit_code: int) -> str:
    """Describe an exit that the log does not explain, as a sentence for the operator."""
    if exit_code == -signal.SIGKILL:
        return f"{program} was killed (SIGKILL), which is what the kernel does when memory runs out."
    if exit_code < 0:
        return f"{program} was killed by {signal.Signals(-exit_code).name}."
    return f"{program} exited with code {exit_code}; see its log above."
