"""Sockets that hide nothing: a client that sends and reads bytes, and an engine that answers with exact ones."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from tests.support.in_process.server import CHAT, KEY, chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

PATIENCE_S = 5.0
EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def plain(body: bytes, *, status: str = "200 OK", kind: str = "application/json", extra: str = "") -> bytes:
    """A whole HTTP answer."""
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{extra}content-length: {len(body)}\r\n\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    """Bytes as one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(content: Any) -> bytes:
    """A server-sent event."""
    return b"data: %b\n\n" % json.dumps(content).encode()


def delta(text: str) -> bytes:
    """A chat's event with some text in it."""
    return event({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]})


DONE = b"data: [DONE]\n\n"


class Wire:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until(self, mark: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(mark), PATIENCE_S)

    async def rest(self) -> bytes:
        """Everything to the end."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE_S)

    async def message(self) -> bytes:
        """A message with a content-length: its head is kept in `head`, its body is returned."""
        self.head = await self.until(b"\r\n\r\n")
        length = 0
        for line in self.head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                length = int(value)
        return await asyncio.wait_for(self.reader.readexactly(length), PATIENCE_S)

    async def gone(self) -> None:
        """Waits for the other end to close."""
        try:
            while await asyncio.wait_for(self.reader.read(65536), PATIENCE_S):
                pass
        except ConnectionError:
            return

    def reset(self) -> None:
        """Closes with a TCP reset."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def dial(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[Wire]:
    """Connects to a port of this machine."""
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    limit = 2**16 if receive_buffer is None else 1024
    reader, writer = await asyncio.open_connection(sock=connection, limit=limit)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def post(body: bytes | dict[str, Any] | None = None, *headers: str, path: str = CHAT, key: str = KEY) -> bytes:
    """A POST request's bytes."""
    content = body if isinstance(body, bytes) else json.dumps(chat() if body is None else body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {key}", *headers]
    if not any(line.startswith("transfer-encoding") for line in headers):
        lines.append(f"content-length: {len(content)}")
    return "\r\n".join((*lines, "", "")).encode() + content


@asynccontextmanager
async def listening(serve: Callable[[Wire], Awaitable[None]]) -> AsyncIterator[tuple[int, list[Wire]]]:
    """Serves every connection to a free port. Yields the port and the connections so far.

    None is left open behind it: neither one whose task never got to run, nor one that comes while it ends.
    """
    wires: list[Wire] = []
    tasks: set[asyncio.Task[None]] = set()
    ended = False

    async def run(wire: Wire) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            await serve(wire)
        wire.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wires.append(Wire(reader, writer))
        if ended:
            writer.transport.abort()
            return
        task = asyncio.create_task(run(wires[-1]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=2**24)
    try:
        yield server.sockets[0].getsockname()[1], wires
    finally:
        ended = True
        for listener in server.sockets:  # a server that is closed while it accepts leaves that connection open
            asyncio.get_running_loop().remove_reader(listener.fileno())
        await asyncio.sleep(0.01)
        server.close()
        while tasks:  # a cancelled `wait_for` may lose its cancellation
            for task in list(tasks):
                task.cancel()
            await asyncio.wait(list(tasks), timeout=0.1)
        for wire in wires:
            wire.writer.transport.abort()
        await asyncio.sleep(0.01)  # the loop closes what was aborted, and hands over what it was accepting


class RawEngine:
    """An engine that a test writes by hand. The pages that a watcher asks for are answered well.

    Args:
        script: Called with a connection whose generation request has just come.
        kind: As in /v1/models.
    """

    def __init__(self, script: Callable[[Wire, bytes], Awaitable[None]], *, name: str, kind: str) -> None:
        self.name, self.port = name, 0
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self._script, self._kind = script, kind

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, wire: Wire) -> None:
        while not wire.writer.is_closing():
            body = await wire.message()
            page = self._page(wire.head, body)
            if page is not None:
                await wire.send(page)
                continue
            self.heads.append(wire.head)
            self.bodies.append(body)
            await self._script(wire, body)

    def _page(self, head: bytes, body: bytes) -> bytes | None:
        path = head.split(b" ")[1]
        if path == b"/v1/models":
            return plain(json.dumps({"data": [{"id": "mock", "owned_by": self._kind}]}).encode())
        if path in {b"/health", b"/metrics"}:
            return plain(b"")
        return plain(b'{"choices":[]}') if b'"max_tokens":1}' in body else None


@asynccontextmanager
async def raw_engine(
    script: Callable[[Wire, bytes], Awaitable[None]], *, name: str = "raw", kind: str = "vllm"
) -> AsyncIterator[RawEngine]:
    """Runs an engine that answers with exactly what a test says."""
    engine = RawEngine(script, name=name, kind=kind)
    async with listening(engine.serve) as (engine.port, _):
        yield engine


async def forever(_wire: Wire, _body: bytes) -> None:
    """A script of an engine that takes a request and says nothing."""
    await asyncio.sleep(3600)
