"""The values that a label may have: the same for all workers, so that a gateway's series stay few."""

import errno
import fcntl
import os
from pathlib import Path

import orjson
from loguru import logger
from prometheus_client import Counter

OTHER, NONE = "other", "none"


class Labels:
    """The first values seen, up to a limit; all others are "other".

    Which were first is settled for all workers, and for those that take their places: were it each worker's own choice,
    one key's requests would be its own in one worker and "other" in the next.

    Args:
        limit: How many.
        overflow: Counts the uses of a value that came too late.
        register: The file in which the workers agree; None for a process that is alone.
    """

    def __init__(self, limit: int, overflow: Counter, register: Path | None) -> None:
        self._limit = limit
        self._overflow = overflow
        self._register = register
        self._told = False
        self._known = {NONE, OTHER}
        # All that there will ever be, once there is no room left: nothing is taken out again.
        self._final: frozenset[str] | None = None

    def add(self, value: str) -> bool:
        """Takes a value in; False when this process knows it already, or there is no room."""
        if value in self._known or not self._has_room(value):
            return False
        self._known.add(value)
        return True

    def of(self, value: str, *, again: bool = False) -> str:
        """The label for `value`; `again` for the second look-up of the same request, which is not counted."""
        if value in self._known or self.add(value):
            return value
        if not again:
            self._overflow.inc()
            self._tell_once(value)
        return OTHER

    def _tell_once(self, value: str) -> None:
        if not self._told:
            self._told = True
            logger.warning(
                "{!r} is counted as 'other': {} have series of their own (MAX_MODEL_SERIES, MAX_KEY_SERIES)",
                value,
                self._limit,
            )

    def _has_room(self, value: str) -> bool:
        if self._final is not None:
            return value in self._final
        if self._register is not None:
            try:
                return self._enter(self._register, value)
            except OSError as error:
                self._register = None  # a full disk, say; not asked again with every request
                logger.warning("the workers cannot agree on labels: {}", error)
        return len(self._known) < self._limit + 2

    def _enter(self, register: Path, value: str) -> bool:
        """Whether the value is in the register, or there was room to enter it. Once a value and worker."""
        with register.open("ab+", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            entered = file.read()
            values = [orjson.loads(line) for line in entered.splitlines()]
            if value not in values and len(values) < self._limit:
                line = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
                if file.write(line) < len(line):  # a disk that is full takes a part
                    file.truncate(len(entered))
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                values.append(value)
        if len(values) >= self._limit:
            self._final = frozenset(values)
        return value in values
