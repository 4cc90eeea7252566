"""The machine: the programs on its PATH, and the files in which its kernel and services describe themselves."""

import errno
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TIMEOUT_S = 15.0
_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended, and what it printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """What it said about its failure, on one line; empty where it said nothing."""
        return " ".join((self.stderr or self.stdout).split())


def run(
    program: str,
    *arguments: str,
    environment: Mapping[str, str],
    directory: Path | None = None,
    timeout_s: float = _TIMEOUT_S,
    own_session: bool = False,
    merge_output: bool = False,
) -> Completed:
    """Runs a command to its end, without input, and captures its output.

    Args:
        program: looked up on the PATH of `environment`.
        arguments: one word each; no shell sees them.
        environment: all of the command's variables.
        directory: where it runs; unset, where this process does.
        timeout_s: after how many seconds it is killed.
        own_session: whether Ctrl-C on the terminal is kept from it.
        merge_output: whether `stdout` holds both outputs, in the order in which they were written.

    Raises:
        OSError: There is no such program, or it cannot be run; a TimeoutError where it took too long.
    """
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    try:
        done = subprocess.run(  # noqa: S603 - no shell: each argument stays one word
            [found, *arguments],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge_output else subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            start_new_session=own_session,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(str(error)) from error
    return Completed(done.returncode, done.stdout, done.stderr or "")


def _root() -> Path:
    return _ROOT


@dataclass(frozen=True, slots=True)
class System:
    """Programs are those on the PATH of `environment`; /proc, /sys, /etc and /run are looked up below `root`."""

    environment: Mapping[str, str]
    root: Path = field(default_factory=_root)

    def has(self, program: str) -> bool:
        """Whether there is such a program."""
        return shutil.which(program, path=self.environment.get("PATH")) is not None

    def ask(self, program: str, *arguments: str) -> tuple[bool, str]:
        """Runs a short query: whether it succeeded, and its output. A missing program fails with none."""
        if not self.has(program):
            return False, ""
        try:
            done = run(program, *arguments, environment=self.environment)
        except OSError as error:
            return False, str(error)
        return done.status == 0, (done.stdout if done.status == 0 else done.stderr or done.stdout).strip()

    def path(self, name: str | Path) -> Path:
        """The path of a file such as `proc/meminfo`, with its leading slash or without."""
        return self.root / str(name).lstrip("/")

    def read(self, name: str | Path) -> str:
        """The text of a file; empty where it is missing or unreadable."""
        try:
            return self.path(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def entries(self, name: str | Path) -> tuple[str, ...]:
        """The entries of a directory, as names for `path`; none where it is missing or unreadable."""
        try:
            return tuple(sorted(f"{name}/{entry.name}" for entry in self.path(name).iterdir()))
        except OSError:
            return ()
