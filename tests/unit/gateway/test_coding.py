"""Coded request bodies: taken apart in pieces of any size, under the limit, and refused for what they are not."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import Gateway, chat
from tests.support.in_process.wire import dial, post

from gateway.coding import ACCEPTED, STEP_BYTES, Body, decoder, zstd
from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedCoding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.in_process.mock import Mock

    Serve = Callable[..., Awaitable[Gateway]]

TEXT = random.Random(7).randbytes(100_000) + b"a" * 300_000  # noqa: S311 - some that shrinks and some that does not
ONE_MB = 1_048_576


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def half_and_half(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: pack(data[: len(data) // 2]) + pack(data[len(data) // 2 :])


CODED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip, capitals": (b"X-GZIP", gzip.compress),
    "gzip of two members": (b"gzip", half_and_half(gzip.compress)),
    "deflate": (b"deflate", zlib.compress),
    "deflate without zlib's frame": (b"deflate", bare_deflate),
    "zstd": (b"zstd", zstd.compress),
    "zstd of two frames": (b"zstd", half_and_half(zstd.compress)),
    "identity": (b"identity", bytes),
    "gzip and identity": (b"gzip, identity", gzip.compress),
    "nothing": (b"", bytes),
}


async def whole(coding: bytes, data: bytes, size: int, limit: int = ONE_MB) -> bytes:
    body = Body(limit, coding)
    for at in range(0, len(data), size):
        await body.add(data[at : at + size])
    return body.end()


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("content", [b"{}", b"x" * STEP_BYTES, TEXT], ids=["tiny", "one step", "large"])
async def test_a_coded_body_is_what_it_was_in_pieces_of_any_size(name: str, content: bytes) -> None:
    coding, pack = CODED[name]
    packed = pack(content)
    for size in (1, 2, 1_000, len(packed)):
        assert await whole(coding, packed, size) == content, size


@pytest.mark.parametrize("name", [name for name in CODED if name not in {"nothing", "identity"}])
async def test_a_body_that_ends_early_or_is_damaged_is_refused(name: str) -> None:
    coding, pack = CODED[name]
    packed = pack(TEXT)
    for data in (b"", packed[:1], packed[:-1], packed[: len(packed) // 2], b"{}", packed + b"{}"):
        with pytest.raises(InvalidRequest) as caught:
            await whole(coding, data, 1_000)
        assert caught.value.code == "damaged_body"


BOMB = 200_000_000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
async def test_a_bomb_is_refused_and_does_not_unfold(coding: str) -> None:
    if coding == "zstd":
        packed = zstd.compress(bytes(BOMB))
    else:
        packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
        packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(BOMB // 1_000_000)) + packer.flush()
    assert len(packed) < ONE_MB
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        await whole(coding.encode(), packed, len(packed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * ONE_MB


async def test_a_zstd_frame_may_not_decide_on_the_gateways_memory() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    packed = packer.compress(TEXT * 100) + packer.flush()
    with pytest.raises(InvalidRequest):
        await whole(b"zstd", packed, len(packed), limit=100 * ONE_MB)


async def test_others_get_their_turn_while_a_body_unfolds() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(count())
    packed = gzip.compress(bytes(20 * ONE_MB))
    assert len(await whole(b"gzip", packed, len(packed), limit=100 * ONE_MB)) == 20 * ONE_MB
    other.cancel()
    assert turns > 20


@pytest.mark.parametrize("coding", ["br", "gzip, br", "gzip, gzip", "compress", "gzip;q=1", "é", "x" * 500])
def test_a_coding_that_is_not_taken_is_named(coding: str) -> None:
    with pytest.raises(UnsupportedCoding) as caught:
        decoder(coding.encode("latin-1"))
    assert coding[:40] in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.accepted == ACCEPTED


@pytest.mark.parametrize("name", CODED)
async def test_the_engine_gets_the_body_without_its_coding(gateway: Gateway, alpha: Mock, name: str) -> None:
    coding, pack = CODED[name]
    content = pack(json.dumps(chat()).encode())
    header = [f"content-encoding: {coding.decode()}"] if coding else []
    async with dial(gateway.port) as client:
        await client.send(post(content, *header))
        assert "choices" in json.loads(await client.message())
    truth = await alpha.truth()
    assert truth["requests"] == 1
    assert "content-encoding" not in truth["last_headers"]


async def test_a_bomb_and_an_unknown_coding_over_the_wire(serve: Serve, alpha: Mock) -> None:
    gateway = await serve(alpha, max_body_bytes=100_000)
    for headers, content, status, code in (
        (["content-encoding: gzip"], gzip.compress(bytes(10_000_000)), 413, "request_too_large"),
        (["content-encoding: br"], b"x", 415, "unsupported_content_encoding"),
        (["content-encoding: gzip", "content-encoding: zstd"], b"x", 415, "unsupported_content_encoding"),
        (["content-encoding: zstd"], b"{}", 400, "damaged_body"),
    ):
        async with dial(gateway.port) as client:
            await client.send(post(content, *headers))
            error = json.loads(await client.message())["error"]
            assert (int(client.head.split(b" ")[1]), error["code"]) == (status, code)
            assert (b"\r\naccept-encoding: gzip, deflate, zstd\r\n" in client.head) == (status == 415)
    assert (await alpha.truth())["requests"] == 0
