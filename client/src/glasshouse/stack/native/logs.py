"""The logs of a native stack's programs: their last lines, and new ones as they come."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from glasshouse.errors import StackError

_TAIL_BYTES = 64 * 1024
_POLL_S = 0.2


def names(directory: Path) -> tuple[str, ...]:
    """The programs that have written a log."""
    return tuple(sorted(path.stem for path in directory.glob("*.log") if path.stat().st_size))


def sizes(directory: Path) -> dict[str, int]:
    """The length of each log, in bytes."""
    return {path.stem: path.stat().st_size for path in directory.glob("*.log")}


def tail(path: Path, count: int, *, since: int = 0) -> list[str]:
    """The last `count` lines of a log after the byte `since`; none when there is no such file.

    Reads at most the last 64 KiB.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, since if since <= size else 0, size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def show(directory: Path, service: str | None, count: int) -> None:
    """Prints the last `count` lines of one program's log, or of all.

    Raises:
        StackError: There is no such log; the text names those that exist.
    """
    for name in _chosen(directory, service):
        for line in tail(directory / f"{name}.log", count):
            print(_prefixed(name, line))


def follow(directory: Path, service: str | None, *, until: Callable[[], bool]) -> None:
    """Prints each new line as it comes, until `until` holds (or Ctrl-C).

    Raises:
        StackError: There is no such log; the text names those that exist.
    """
    _chosen(directory, service)
    tails: dict[str, _Follower] = {}
    try:
        is_first_scan = True
        while True:
            for path in sorted(directory.glob("*.log")):
                if service in (None, path.stem) and path.stem not in tails:
                    tails[path.stem] = _Follower(path, from_end=is_first_scan)
            is_first_scan = False
            for name, follower in tails.items():
                for line in follower.new_lines():
                    print(_prefixed(name, line), flush=True)
            if until():
                return
            time.sleep(_POLL_S)
    finally:
        for follower in tails.values():
            follower.close()


@dataclass(slots=True)
class _Follower:
    """A log that is followed across rotations."""

    path: Path
    from_end: bool
    _file: IO[bytes] | None = None
    _partial: bytes = field(default=b"")

    def new_lines(self) -> list[str]:
        lines = self._read()
        if self._has_rotated():
            lines += self._read()
        return lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _read(self) -> list[str]:
        if self._file is None:
            try:
                self._file = self.path.open("rb")
            except FileNotFoundError:
                return []
            if self.from_end:
                self._file.seek(0, 2)
        *complete, self._partial = (self._partial + self._file.read()).split(b"\n")
        return [line.decode(errors="replace") for line in complete]

    def _has_rotated(self) -> bool:
        """Whether another file has the name now, or this one was truncated; it is then read from its beginning."""
        if self._file is None:
            return False
        try:
            named, opened = self.path.stat(), os.fstat(self._file.fileno())
        except FileNotFoundError:
            return False
        if named.st_size >= self._file.tell() and named.st_ino == opened.st_ino:
            return False
        self.close()
        self._file, self.from_end, self._partial = None, False, b""
        return True


def _chosen(directory: Path, service: str | None) -> tuple[str, ...]:
    known = names(directory)
    if service is None:
        if not known:
            raise StackError("There are no logs yet. Start the stack: make up")
        return known
    if not (directory / f"{service}.log").is_file():
        raise StackError(f"There is no log of {service!r}. There are: {', '.join(known) or 'none yet'}.")
    return (service,)


def _prefixed(name: str, line: str) -> str:
    return f"{name:<10} | {line}"
