"""The engine's key may change at any time: what is in the file counts, once it is a key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.support.in_process.keys import NEW, OLD, engine_key
from tests.support.in_process.wire import Wire, plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from gateway.upstream import EngineKey

    Start = Callable[..., Awaitable[Any]]


def line(key: str) -> bytes:
    return f"authorization: Bearer {key}\r\n".encode()


def test_a_change_is_seen_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    key = engine_key(tmp_path, OLD)
    path = tmp_path / "engine-key"
    for content, wanted in ((NEW, NEW), ("short", NEW), ("", NEW), (f"{OLD}\n{NEW}", NEW), (f" {OLD}\r\n", OLD)):
        other = tmp_path / "next"
        other.write_text(content)
        other.replace(path)
        key.refresh()
        assert key.authorization == line(wanted)
    path.unlink()
    key.refresh()
    os.mkfifo(path)
    key.refresh()  # does not wait for a writer
    assert key.authorization == line(OLD)


async def test_a_rotation_loses_no_request(client: Start, tmp_path: Path) -> None:
    """An engine accepts the next key before it is in force, and the last one until it is started anew."""
    asked: list[bytes] = []

    async def serve(wire: Wire) -> None:
        while True:
            body = await wire.message()
            asked.append(next(row + b"\r\n" for row in wire.head.split(b"\r\n") if row.startswith(b"authorization: ")))
            known = asked[-1] in {line(OLD), line(NEW)}
            await wire.send(plain(body) if known else plain(b"{}", status="401 Unauthorized"))

    key = engine_key(tmp_path, OLD)
    gateway = await client(serve, key=key)
    for content in (OLD, OLD, NEW, NEW):
        (tmp_path / "engine-key").write_text(content)
        key.refresh()
        assert await gateway.upstream.fetch(b"POST", b"/", b"x", limit=9) == (200, b"x")
    assert asked == [line(OLD)] * 2 + [line(NEW)] * 2


async def test_without_a_key_none_is_sent(client: Start) -> None:
    heads: list[bytes] = []

    async def serve(wire: Wire) -> None:
        await wire.message()
        heads.append(wire.head)
        await wire.send(plain(b"x", status="401 Unauthorized"))

    gateway = await client(serve)
    assert (await gateway.upstream.fetch(b"POST", b"/", b"x", limit=9))[0] == 401
    assert b"authorization" not in heads[0]


def test_a_key_is_not_shown(tmp_path: Path) -> None:
    key: EngineKey = engine_key(tmp_path, NEW)
    assert NEW not in f"{key} {key!r}"
