"""The values that a label may take: few, and the same in all workers, which bounds the number of series."""

import errno
import fcntl
import os
from pathlib import Path

import orjson
from loguru import logger
from prometheus_client import Counter

OTHER, NONE = "other", "none"


class Labels:
    """The first values seen, up to a limit; all others are labelled "other".

    All workers and their successors agree on which values were first. Were it each worker's own choice, the requests of
    one key would be counted under its name in one worker and as "other" in the next.

    Args:
        limit: How many values.
        overflow: Counts the uses of values beyond the limit.
        register: The file through which the workers agree; None for a process that is alone.
    """

    def __init__(self, limit: int, overflow: Counter, register: Path | None) -> None:
        self._limit = limit
        self._overflow = overflow
        self._register = register
        self._has_warned = False
        self._known = {NONE, OTHER}
        # Every value there will ever be, once the limit is reached: none is removed again.
        self._final: frozenset[str] | None = None

    def add(self, value: str) -> bool:
        """Adds a value; False when this process has it already, or the limit is reached."""
        if value in self._known or not self._is_admitted(value):
            return False
        self._known.add(value)
        return True

    def label(self, value: str, *, count: bool = True) -> str:
        """The label for `value`. A request that looks it up repeatedly counts the overflow only once."""
        if value in self._known or self.add(value):
            return value
        if count:
            self._overflow.inc()
            self._warn_once(value)
        return OTHER

    def _warn_once(self, value: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "{!r} is counted as 'other': {} have series of their own (MAX_MODEL_SERIES, MAX_KEY_SERIES)",
                value,
                self._limit,
            )

    def _is_admitted(self, value: str) -> bool:
        if self._final is not None:
            return value in self._final
        if self._register is not None:
            try:
                return self._register_value(self._register, value)
            except OSError as error:
                self._register = None  # a full disk, for example; not tried again with every request
                logger.warning("the workers cannot agree on labels: {}", error)
        return len(self._known) < self._limit + 2

    def _register_value(self, register: Path, value: str) -> bool:
        """Whether the value is registered, or could be. Called once per value and worker."""
        with register.open("ab+", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            registered = file.read()
            values = [orjson.loads(line) for line in registered.splitlines()]
            if value not in values and len(values) < self._limit:
                line = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
                if file.write(line) < len(line):  # a full disk takes only a part
                    file.truncate(len(registered))
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                values.append(value)
        if len(values) >= self._limit:
            self._final = frozenset(values)
        return value in values
