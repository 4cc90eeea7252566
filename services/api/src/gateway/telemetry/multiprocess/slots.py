"""Stable places for the workers' counters.

prometheus-client keeps a worker's counters in files named after its process id. Workers that die leave files behind
that slow every scrape, and deleting them makes counters fall. So a worker takes a numbered slot instead: a lock on a
file, which the kernel gives back when the process ends in whatever way. The next worker takes the slot over with its
files, and the counters go on where they stopped. Overlapping generations of workers (a reload) hold different slots.
"""

import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import prometheus_client.values
from loguru import logger
from prometheus_client.values import MultiProcessValue

from gateway.telemetry.multiprocess.counter_files import CounterFile

_ENVIRONMENT = "PROMETHEUS_MULTIPROC_DIR"
# prometheus-client's files, by our slots' numbers, the locks, what the workers agree on (see `labels`), `cost.share`'s
# files and the copies of the keys file. Nothing else there is touched.
_OURS = re.compile(
    r"(counter|histogram|gauge_[a-z]+)_\d+\.db|slot-\d+\.lock|labels-of-[a-z_]+|cost-\d+\.share|keys\.(last-good|\d+)"
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made there, 0700


class MetricsDirError(Exception):
    """The directory of the counters cannot be used; the text is one sentence naming it."""


def wipe(directory: Path) -> None:
    """Makes the directory, 0700, and empties it of what an earlier gateway left.

    Raises:
        MetricsDirError: It cannot be made, or belongs to someone else, or another gateway is using it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.getuid():
            raise MetricsDirError(f"METRICS_DIR={str(directory)!r} belongs to another user: choose another directory.")
        for lock in directory.glob("slot-*.lock"):
            with _locked(lock) as free:
                if not free:
                    raise MetricsDirError(
                        f"METRICS_DIR={str(directory)!r} is in use by a gateway that runs: stop it, "
                        "or choose another directory."
                    )
        for path in directory.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _FULL:  # a disk that is full may not keep a gateway from starting
            raise MetricsDirError(f"METRICS_DIR={str(directory)!r} cannot be used: {error.strerror}.") from error


def claim(directory: Path) -> int | None:
    """Takes the lowest free slot for this process, for as long as it lives, and makes new metrics use its files.

    Must run before any metric is made. Gauges of live workers start from nothing; counters go on.

    Returns:
        The slot; None where none can be had, such as on a disk without room for another file. This worker then counts
        in its own memory, which /metrics does not show.
    """
    try:
        slot = _take_slot(directory)
        _forget_live_gauges(directory, slot)
    except OSError as error:
        os.environ.pop(_ENVIRONMENT, None)
        why = error.strerror
        logger.warning("METRICS_DIR={!r} cannot be used ({}): /metrics leaves this worker out", str(directory), why)
        return None
    os.environ[_ENVIRONMENT] = str(directory)
    # prometheus-client has no other way in: it chooses these classes when it is imported, before the slot is known.
    prometheus_client.values.ValueClass = MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
    prometheus_client.values.MmapedDict = CounterFile  # type: ignore[assignment, attr-defined] # as above
    return slot


def _take_slot(directory: Path) -> int:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have tidied up
    if directory.stat().st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it belongs to another user")
    slot = 0
    while True:
        descriptor = os.open(directory / f"slot-{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            slot += 1
            continue
        # The descriptor stays open on purpose: closing it would give the slot back.
        return slot


def usable(directory: Path) -> Path:
    """The directory itself; one of its name among temporary files where it would lie in a /dev/shm without access."""
    if directory.is_relative_to(_SHARED_MEMORY) and not directory.is_dir() and shared_memory() is None:
        return Path(tempfile.gettempdir()) / directory.name
    return directory


def shared_memory() -> str | None:
    """The directory of shared memory, if it can be written to."""
    try:
        tempfile.TemporaryFile(dir=_SHARED_MEMORY).close()
    except OSError:
        return None
    return str(_SHARED_MEMORY)


def directory() -> Path | None:
    """Where this process has its slot; None where it has none, as in a test without gunicorn."""
    named = os.environ.get(_ENVIRONMENT)
    return None if named is None else Path(named)


def release_dead(directory: Path) -> None:
    """Drops the live gauges (in flight, up) of every slot that nobody holds. For gunicorn's `child_exit`."""
    for lock in directory.glob("slot-*.lock"):
        with suppress(OSError), _locked(lock) as free:  # the master has nobody to tell, and goes on
            if free:
                _forget_live_gauges(directory, int(lock.stem.removeprefix("slot-")))


def _forget_live_gauges(directory: Path, slot: int) -> None:
    for path in directory.glob(f"gauge_live*_{slot}.db"):
        path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Holds the lock of a slot if nobody else does; yields whether that worked."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
