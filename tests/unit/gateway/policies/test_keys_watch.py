"""The keys file while the gateway runs: large, replaced by something else, changed while it is read, out of reach."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from loguru import logger
from tests.support.in_process.server import until

from gateway.errors import Unauthorized
from gateway.policies import keys
from gateway.policies.keys import KeyRing, KeysFileError, read_keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

MANY = 10_000


def entry(number: int, more: str = "") -> str:
    digest = hashlib.sha256(f"k{number}".encode()).hexdigest()
    return f"  - {{name: key-{number}, sha256: '{digest}'{more}}}\n"


def write(path: Path, *entries: str) -> Path:
    """As an editor does: a new file takes the old one's place."""
    new = path.with_suffix(".new")
    new.write_text("keys:\n" + "".join(entries), encoding="utf-8")
    new.replace(path)
    return path


def may(ring: KeyRing, number: int) -> str | None:
    """The name of a key, or the code with which it is refused."""
    try:
        return ring.authenticate(f"k{number}".encode()).name
    except Unauthorized as error:
        return error.code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "keys.yaml", entry(1), entry(2))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    logger.remove()
    sink = logger.add(lines.append, format="{message}", diagnose=False)
    yield lines
    logger.remove(sink)


@asynccontextmanager
async def watched(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Task[None]]:
    monkeypatch.setattr("gateway.policies.keys.WATCH_INTERVAL_S", 0.01)
    task = asyncio.create_task(ring.watch())
    yield task
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.timing
async def test_a_key_of_ten_thousand_is_revoked_within_five_seconds_and_the_loop_does_not_wait(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(path)
    entries = [entry(number) for number in range(MANY)]
    entries[7_777] = entry(7_777, ", revoked: true")
    write(path, *entries)
    began = last = time.monotonic()
    longest = 0.0
    async with watched(ring, monkeypatch):
        while len(ring) != MANY:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
    took = time.monotonic() - began
    assert took < 5 - keys.WATCH_INTERVAL_S, "the pause between two looks comes on top"
    assert longest < took / 3
    assert (may(ring, 7_777), may(ring, 7_778)) == ("revoked_api_key", "key-7778")


async def test_a_fifo_in_its_place_is_refused_and_the_old_keys_stay(
    path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    ring = KeyRing(path)
    os.mkfifo(fifo := path.with_name("fifo"))
    os.replace(fifo, path)  # noqa: PTH105 - ruff takes Path.replace for a wait on the event loop
    async with watched(ring, monkeypatch):
        await until(lambda: bool(logged))
        await asyncio.sleep(0.1)
        assert [may(ring, 1), may(ring, 2)] == ["key-1", "key-2"]
        write(path, entry(2), entry(3))
        await until(lambda: may(ring, 3) == "key-3")
    assert may(ring, 1) == "invalid_api_key"
    refused, read = logged
    assert "not a regular file" in refused
    assert "2 keys" in read


def test_a_start_with_a_fifo_in_its_place_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys.yaml")
    with pytest.raises(KeysFileError, match=r"keys\.yaml' cannot be read: it is not a regular file\."):
        KeyRing(tmp_path / "keys.yaml")


def test_what_could_not_be_read_is_read_later_though_it_has_not_changed(
    path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    """Were it given up, a key revoked while descriptors ran out would stay good for ever."""
    ring = KeyRing(path)
    write(path, entry(2))

    def no_descriptors(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr("gateway.yaml_file.os.open", no_descriptors)
        assert [ring.refresh() for _ in range(3)] == [False] * 3
    assert may(ring, 1) == "key-1"
    assert ring.refresh() is True
    assert (may(ring, 1), may(ring, 2)) == ("invalid_api_key", "key-2")
    assert ["Too many open files" in line for line in logged] == [True, False], "said once"


async def test_nothing_unforeseen_ends_the_watch(
    path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    ring = KeyRing(path)
    with monkeypatch.context() as patch:
        patch.setattr(ring, "refresh", lambda: 1 / 0)
        async with watched(ring, monkeypatch):
            await until(lambda: bool(logged))
            patch.undo()
            monkeypatch.setattr("gateway.policies.keys.WATCH_INTERVAL_S", 0.01)
            write(path, entry(3))
            await until(lambda: may(ring, 3) == "key-3")


def _replaced_behind(path: Path, content: bytes) -> Callable[[Path], bytes]:
    """Reads the keys file, and then somebody else writes it."""
    read = keys._content

    def reads(asked: Path) -> bytes:
        found = read(asked)
        path.write_bytes(content)
        return found

    return reads


@pytest.mark.parametrize("after", [b"keys: [", b"keys: []\n"])
def test_the_last_good_copy_is_what_was_read_and_not_what_has_come_since(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bytes
) -> None:
    copy = tmp_path / "last-good"
    with monkeypatch.context() as patch:
        patch.setattr("gateway.policies.keys._content", _replaced_behind(path, after))
        ring = KeyRing(path, copy)
    assert [key.name for key in read_keys(copy).values()] == ["key-1", "key-2"]
    assert may(ring, 1) == "key-1"


def test_where_no_copy_can_be_kept_no_older_one_is_left(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    """A key that has been revoked since would be good in it."""
    copy = tmp_path / "last-good"
    ring = KeyRing(path, copy)
    write(path, entry(1, ", revoked: true"))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", full)
        assert ring.refresh() is True
    assert may(ring, 1) == "revoked_api_key"
    assert "No space left" in logged[0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["keys.yaml"]
