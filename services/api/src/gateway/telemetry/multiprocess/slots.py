"""Slots: stable numbers for workers, after which their counter files are named.

prometheus-client names a worker's counter files after its process id. Workers that die leave files behind that slow
down every scrape, and deleting them would make counters decrease. So each worker claims a numbered slot instead: a lock
on a file, which the kernel releases however the process ends. The next worker takes over the slot with its files, and
the counters continue where they stopped. Overlapping generations of workers (a reload) hold different slots.
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

from gateway.telemetry.multiprocess.values import value_class

_ENVIRONMENT = "PROMETHEUS_MULTIPROC_DIR"
# The files that the gateway creates there: counters by slot, locks, the registers of labels, the shares of engine time
# (see `cost.ledger`) and the copies of the keys file. Nothing else is touched.
_OWN_FILES = re.compile(
    r"(counter|histogram|summary|gauge_[a-z]+)_\d+\.db|slot-\d+\.lock|labels-of-[a-z_]+|cost-\d+\.share|keys\.(last-good|\d+)"
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is created there, 0700


class MetricsDirError(Exception):
    """The directory of the counters cannot be used; the message is one sentence that names it."""


def wipe(directory: Path) -> None:
    """Creates the directory, 0700, and deletes what an earlier gateway left in it.

    Raises:
        MetricsDirError: It cannot be created, belongs to another user, or is in use by another gateway.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.getuid():
            raise MetricsDirError(f"METRICS_DIR={str(directory)!r} belongs to another user: choose another directory.")
        for lock in directory.glob("slot-*.lock"):
            with _locked(lock) as free:
                if not free:
                    raise MetricsDirError(
                        f"METRICS_DIR={str(directory)!r} is in use by a running gateway: stop it, "
                        "or choose another directory."
                    )
        for path in directory.iterdir():
            if _OWN_FILES.fullmatch(path.name):
                path.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _FULL:  # a full disk must not keep a gateway from starting
            raise MetricsDirError(f"METRICS_DIR={str(directory)!r} cannot be used: {error.strerror}.") from error


def claim(directory: Path) -> int | None:
    """Claims the lowest free slot for as long as this process lives, and makes new metrics use its files.

    Must run before any metric is created. Gauges of live workers start from zero; counters continue.

    Returns:
        The slot; None if there is none, for example because the disk has no space for another file. This worker then
        counts in its own memory, which /metrics does not show.
    """
    try:
        slot = _claim_slot(directory)
        _delete_live_gauges(directory, slot)
    except OSError as error:
        os.environ.pop(_ENVIRONMENT, None)
        reason = error.strerror
        logger.warning("METRICS_DIR={!r} cannot be used ({}): /metrics leaves this worker out", str(directory), reason)
        return None
    os.environ[_ENVIRONMENT] = str(directory)
    # prometheus-client has no other hook: it chooses this class on import, before the slot is known.
    prometheus_client.values.ValueClass = value_class(directory, slot)
    return slot


def _claim_slot(directory: Path) -> int:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # it may have been deleted
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
        # The descriptor stays open on purpose: closing it would release the slot.
        return slot


def usable(directory: Path) -> Path:
    """The directory itself, or one of the same name in the temporary directory if /dev/shm is not writable."""
    if directory.is_relative_to(_SHARED_MEMORY) and not directory.is_dir() and shared_memory() is None:
        return Path(tempfile.gettempdir()) / directory.name
    return directory


def shared_memory() -> str | None:
    """The shared memory directory, if it is writable."""
    try:
        tempfile.TemporaryFile(dir=_SHARED_MEMORY).close()
    except OSError:
        return None
    return str(_SHARED_MEMORY)


def directory() -> Path | None:
    """The directory of this process's slot; None if it has none, as in a test without gunicorn."""
    named = os.environ.get(_ENVIRONMENT)
    return None if named is None else Path(named)


def release_dead(directory: Path) -> None:
    """Deletes the live gauges (in flight, up) of every slot that no process holds. For gunicorn's `child_exit`."""
    for lock in directory.glob("slot-*.lock"):
        with suppress(OSError), _locked(lock) as free:  # the master carries on
            if free:
                _delete_live_gauges(directory, int(lock.stem.removeprefix("slot-")))


def _delete_live_gauges(directory: Path, slot: int) -> None:
    for path in directory.glob(f"gauge_live*_{slot}.db"):
        path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Holds the lock of a slot if no other process does; yields whether it does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
