"""The pool of connections, and foreign errors become ours."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from tests.support.in_process.server import until
from tests.support.in_process.wire import Wire, chunk, plain

from gateway.errors import EngineBadResponse, EngineError, EngineReset, EngineTimeout, EngineUnreachable
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Start = Callable[..., Awaitable[Any]]

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def to(port: int, scheme: str = "http", host: str = "127.0.0.1", connect_timeout: float = 5.0) -> Upstream:
    return Upstream("e", f"{scheme}://{host}:{port}", key=None, connect_timeout=connect_timeout)


async def _echo(wire: Wire) -> None:
    while True:
        await wire.send(plain(await wire.message()))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def test_connections_are_used_again(client: Start) -> None:
    engine = await client(_echo)
    for number in range(20):
        body = str(number).encode()
        assert await engine.upstream.fetch(b"POST", b"/", body, limit=9) == (200, body)
    assert len(engine.wires) == 1


async def test_answers_never_meet(client: Start) -> None:
    async def slowly(wire: Wire) -> None:
        while True:
            body = await wire.message()
            await asyncio.sleep(int(body) % 7 / 500)
            await wire.send(HEAD + b"".join(chunk(bytes([byte])) for byte in body) + chunk(b""))

    engine = await client(slowly)

    async def ask(number: int) -> bool:
        body = str(number).encode()
        answer: tuple[int, bytes] = await engine.upstream.fetch(b"POST", b"/", body, limit=9)
        return answer == (200, body)

    for _ in range(3):
        assert all(await asyncio.gather(*map(ask, range(60))))
    assert len(engine.wires) <= 60


async def test_a_connection_is_not_shared_while_its_answer_is_under_way(client: Start) -> None:
    engine = await client(_echo)
    first = await engine.upstream.request(b"POST", b"/", b"1")
    second = await engine.upstream.request(b"POST", b"/", b"2")
    assert (await second.read(1), await first.read(1)) == (b"2", b"1")
    first.close()
    second.close()
    assert len(engine.wires) == 2


async def test_an_idle_connection_that_the_engine_closed_is_not_used(client: Start) -> None:
    async def close_after_one(wire: Wire) -> None:
        await wire.send(plain(await wire.message()))
        wire.close()

    engine = await client(close_after_one)
    for number in range(5):
        assert (await engine.upstream.fetch(b"POST", b"/", b"x", limit=9))[1] == b"x"
        await asyncio.sleep(0.01 * (number % 2))
    assert len(engine.wires) == 5


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_that_closes_as_it_is_used_never_sends_twice(client: Start, how: str) -> None:
    """It goes out over a new connection, and the engine has not read it on the old one."""
    arrived: list[bytes] = []

    async def close_without_a_word(wire: Wire) -> None:
        arrived.append(await wire.message())
        await wire.send(plain(arrived[-1]))
        getattr(wire, how)()

    engine = await client(close_without_a_word)
    answered = []
    for number in range(60):
        body = str(number).encode()
        try:
            assert (await engine.upstream.fetch(b"POST", b"/", body, limit=9))[1] == body
            answered.append(body)
        except EngineReset:
            continue
    assert len(arrived) == len(set(arrived))
    assert set(answered) <= set(arrived)
    assert len(answered) == 60


@pytest.mark.parametrize("idle", [0, 5])
async def test_a_request_that_an_engine_breaks_on_is_sent_over_one_new_connection_at_most(
    client: Start, idle: int
) -> None:
    """A used connection may have been closed before the engine saw the request; a new one was not."""
    arrived: list[bytes] = []

    async def die_at_work(wire: Wire) -> None:
        while True:
            body = await wire.message()
            arrived.append(body)
            if body == b"poison":
                await asyncio.sleep(0.1)
                wire.reset()
                return
            await asyncio.sleep(0.05)
            await wire.send(plain(body))

    engine = await client(die_at_work)
    await asyncio.gather(*(engine.upstream.fetch(b"POST", b"/", b"x", limit=9) for _ in range(idle)))
    with pytest.raises(EngineReset) as caught:
        await engine.upstream.fetch(b"POST", b"/", b"poison", limit=9)
    assert not caught.value.has_begun
    assert arrived.count(b"poison") == (2 if idle else 1)


async def test_a_connection_idle_for_too_long_is_closed_and_not_used(
    client: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await client(_echo)
    await engine.upstream.fetch(b"POST", b"/", b"x", limit=9)
    monkeypatch.setattr("gateway.upstream.client._IDLE_LIMIT_S", 0.05)
    await asyncio.sleep(0.1)
    await engine.upstream.fetch(b"POST", b"/", b"x", limit=9)
    assert len(engine.wires) == 2
    await until(engine.wires[0].writer.is_closing)


async def test_connection_close_is_obeyed(client: Start) -> None:
    async def last(wire: Wire) -> None:
        await wire.message()
        await wire.send(plain(b"x", extra="connection: close\r\n"))
        await wire.gone()

    engine = await client(last)
    for _ in range(3):
        assert (await engine.upstream.fetch(b"GET", b"/", limit=9))[1] == b"x"
    assert len(engine.wires) == 3


async def test_the_number_of_idle_connections_is_bounded(client: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.upstream.client._MAX_IDLE", 3)

    async def after_a_while(wire: Wire) -> None:
        while True:
            body = await wire.message()
            await asyncio.sleep(0.05)
            await wire.send(plain(body))

    engine = await client(after_a_while)
    await asyncio.gather(*(engine.upstream.fetch(b"POST", b"/", b"x", limit=9) for _ in range(8)))
    assert len(engine.wires) == 8
    assert len(engine.upstream._idle) == 3


async def test_leaving_closes_the_idle_ones(client: Start) -> None:
    engine = await client(_echo)
    await engine.upstream.fetch(b"POST", b"/", b"x", limit=9)
    await engine.upstream.__aexit__(None, None, None)
    await until(engine.wires[0].writer.is_closing)


async def test_a_cancelled_request_cuts_its_connection(client: Start) -> None:
    gone = asyncio.Event()

    async def silent(wire: Wire) -> None:
        await wire.message()
        await wire.gone()
        gone.set()

    engine = await client(silent)
    request = asyncio.create_task(engine.upstream.request(b"POST", b"/", b"x"))
    await until(lambda: bool(engine.wires))
    await asyncio.sleep(0.05)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.wait_for(gone.wait(), 1)


async def test_refused_is_unreachable() -> None:
    with pytest.raises(EngineUnreachable, match="The engine e refuses connections"):
        await to(_free_port()).fetch(b"GET", b"/", limit=1)


async def test_a_name_that_does_not_resolve_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)
    with pytest.raises(EngineUnreachable, match="does not resolve"):
        await to(80, host="engine.invalid").fetch(b"GET", b"/", limit=1)


async def test_a_name_that_cannot_be_one_is_unreachable() -> None:
    with pytest.raises(EngineUnreachable):
        await to(80, host="a" * 64 + ".invalid").fetch(b"GET", b"/", limit=1)


async def test_tls_to_an_engine_that_speaks_none(client: Start) -> None:
    async def no_tls(wire: Wire) -> None:
        await wire.send(plain(b"hello"))
        await wire.gone()

    engine = await client(no_tls)
    port = int(engine.upstream._port)
    with pytest.raises(EngineUnreachable, match="TLS handshake"):
        await to(port, "https").fetch(b"GET", b"/", limit=1)


async def test_a_host_that_accepts_nothing_times_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # the queue of those who wait to be accepted is full now
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        begun = time.monotonic()
        with pytest.raises(EngineTimeout, match=r"did not accept a connection within 0\.3 s") as caught:
            await to(port, connect_timeout=0.3).fetch(b"GET", b"/", limit=1)
        assert time.monotonic() - begun > 0.25
        assert caught.value.phase == "connect"
        for filler in fillers:
            filler.close()


def test_the_default_ports() -> None:
    assert [Upstream("e", f"{scheme}://h", key=None, connect_timeout=1)._port for scheme in ("http", "https")] == [
        80,
        443,
    ]


def test_the_same_on_uvloop() -> None:
    """The loop of production has transports of its own: the ends that matter look the same there."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        try:
            while True:
                await _answer(wire, await wire.message())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> list[Any]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        results: list[Any] = []
        async with to(server.sockets[0].getsockname()[1]) as upstream:
            for body in (b"echo", b"reset", b"echo", b"garbage", b"half", b"echo"):
                try:
                    results.append((await upstream.fetch(b"POST", b"/", body, limit=9))[1])
                except EngineError as error:
                    results.append(type(error))
        server.close()
        await asyncio.sleep(0.05)
        return results

    wanted = [b"echo", EngineReset, b"echo", EngineBadResponse, EngineReset, b"echo"]
    assert uvloop.run(main()) == wanted
    assert asyncio.run(main()) == wanted


async def _answer(wire: Wire, body: bytes) -> None:
    if body == b"echo":
        await wire.send(plain(body))
        return
    await asyncio.sleep(0.05)
    if body == b"reset":
        wire.reset()
    elif body == b"garbage":
        await wire.send(b"\x00\x01\x02\r\n\r\n")
        wire.close()
    else:
        await wire.send(plain(b"abcdef")[:-2])
        wire.close()
