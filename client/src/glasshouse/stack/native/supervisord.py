"""A supervisord that survives a full disk: `python -m glasshouse.stack.native.supervisord -c FILE`.

supervisord itself prints a stack trace for every line that it cannot log, into a file on the same disk, and exits when
that fails too. Here lines are lost while their file cannot be written, and the next line that can says how many.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from supervisor import loggers, supervisord  # type: ignore[import-untyped]  # supervisor ships no types

# Bytes that must be free before lines are written again. Otherwise the last free block would be filled, and losses
# reported, line by line.
_MIN_FREE_BYTES = 65_536


class LogFile(loggers.RotatingFileHandler):  # type: ignore[misc]  # see above
    """A log of supervisord's or of a program's, in whole lines."""

    stream: IO[bytes]
    _lost = 0

    def emit(self, record: loggers.LogRecord) -> None:
        """Writes a record, after a line about those that were lost; loses it where it cannot be written."""
        is_raw = self.fmt == "%(message)s" and isinstance(record.msg, bytes)
        content = record.msg if is_raw else (self.fmt % record.asdict()).encode()
        notice = f"(here {self._lost} lines were lost: the file could not be written)\n" if self._lost else ""
        try:
            self._append(notice.encode() + content)
        except OSError:
            self._lost += content.count(b"\n") or 1
            return
        self._lost = 0
        with suppress(OSError):  # the next line creates the file that could not be created
            self.doRollover()

    def _append(self, content: bytes) -> None:
        """Writes all of it or nothing.

        Raises:
            OSError: The disk is full, say.
        """
        if self._lost:
            disk = os.statvfs(Path(self.baseFilename).parent)
            if disk.f_bavail * disk.f_frsize < _MIN_FREE_BYTES:
                raise OSError(errno.ENOSPC, "no room yet")
        if self.stream.closed:  # a rollover was cut short
            self.stream = Path(self.baseFilename).open("ab")  # noqa: SIM115 - it stays open
        descriptor = self.stream.fileno()
        size = os.fstat(descriptor).st_size
        try:
            while content:
                content = content[os.write(descriptor, content) :]
        except OSError:
            os.ftruncate(descriptor, size)
            os.lseek(descriptor, size, os.SEEK_SET)
            raise


def main() -> None:
    """Runs supervisord with the arguments of the command line."""
    loggers.RotatingFileHandler = LogFile
    supervisord.main()


if __name__ == "__main__":
    main()
