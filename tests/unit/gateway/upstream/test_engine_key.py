"""The engine's key changes without a request lost: by which of several keys an engine is asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.gateway.harness.keys import NEW, OLD, engine_key
from tests.unit.gateway.harness.wire import Wire, plain

from gateway.upstream.engine_key import EngineKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Start = Callable[..., Awaitable[Any]]


def test_the_key_that_was_taken_last_goes_first(tmp_path: Path) -> None:
    key = engine_key(tmp_path, NEW, OLD)
    assert key.candidates(None) == (NEW, OLD)
    assert key.candidates(OLD) == (OLD, NEW)
    assert key.candidates(NEW) == (NEW, OLD)
    assert key.candidates("gone-from-the-file") == (NEW, OLD)


def test_a_file_may_have_blank_lines_and_any_line_ends(tmp_path: Path) -> None:
    assert engine_key(tmp_path, "", f" {NEW}\r", "", OLD, "").candidates(None) == (NEW, OLD)


def test_a_change_is_seen_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    key = engine_key(tmp_path, OLD)
    path = tmp_path / "engine-key"
    for content, wanted in ((f"{NEW}\n{OLD}", (NEW, OLD)), ("short", (NEW, OLD)), ("", (NEW, OLD)), (NEW, (NEW,))):
        other = tmp_path / "next"
        other.write_text(content)
        other.replace(path)
        key.refresh()
        assert key.candidates(None) == wanted
    path.unlink()
    os.mkfifo(path)
    key.refresh()  # does not wait for a writer
    assert key.candidates(None) == (NEW,)


class Guarded:
    """An engine that takes some keys, and can be started anew with others."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.asked: list[str] = []

    async def serve(self, wire: Wire) -> None:
        while True:
            body = await wire.message()
            key = next(
                line.partition(b" ")[2].removeprefix(b"Bearer ").decode()
                for line in wire.head.split(b"\r\n")
                if line.startswith(b"authorization: ")
            )
            self.asked.append(key)
            await wire.send(plain(body) if key in self.keys else plain(b"{}", status="401 Unauthorized"))


async def test_a_rotation_loses_no_request(client: Start, tmp_path: Path) -> None:
    engine = Guarded(OLD)
    key = engine_key(tmp_path, OLD)
    gateway = await client(engine.serve, key=key)

    async def ask() -> list[str]:
        engine.asked.clear()
        for _ in range(3):
            assert await gateway.upstream.fetch(b"POST", b"/", b"x", limit=9) == (200, b"x")
        return engine.asked

    assert await ask() == [OLD] * 3
    (tmp_path / "engine-key").write_text(f"{NEW}\n{OLD}")
    key.refresh()
    assert await ask() == [OLD] * 3, "the engine has not been started anew: nothing changes"
    engine.keys = (NEW,)
    assert await ask() == [OLD, NEW, NEW, NEW], "asked once more, and then as it wants"
    engine.keys = (NEW, OLD)
    (tmp_path / "engine-key").write_text(NEW)
    key.refresh()
    assert await ask() == [NEW] * 3


@pytest.mark.parametrize("status", [401, 403])
async def test_an_engine_that_takes_none_of_them_is_asked_with_each_once(
    client: Start, tmp_path: Path, status: int
) -> None:
    seen: list[bytes] = []

    async def refuse(wire: Wire) -> None:
        while True:
            await wire.message()
            seen.append(wire.head)
            await wire.send(plain(b"no", status=f"{status} No"))

    gateway = await client(refuse, key=engine_key(tmp_path, NEW, OLD))
    assert await gateway.upstream.fetch(b"POST", b"/", b"x", limit=9) == (status, b"no")
    assert len(seen) == 2


async def test_without_a_key_none_is_sent(client: Start) -> None:
    heads: list[bytes] = []

    async def serve(wire: Wire) -> None:
        await wire.message()
        heads.append(wire.head)
        await wire.send(plain(b"x", status="401 Unauthorized"))

    gateway = await client(serve)
    assert (await gateway.upstream.fetch(b"POST", b"/", b"x", limit=9))[0] == 401
    assert len(heads) == 1
    assert b"authorization" not in heads[0]


def test_a_key_is_not_shown(tmp_path: Path) -> None:
    key = engine_key(tmp_path, NEW)
    assert NEW not in f"{key} {key!r}"
    assert isinstance(key, EngineKey)
