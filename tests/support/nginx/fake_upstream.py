"""A fake of the gateway, and of Grafana: does what a request's header `x-do` says, and records every request.

It runs in a container, with nothing but the standard library. `x-do` is a JSON object; without it a request is echoed.
Port 9000 returns the recorded requests as JSON.
"""

import asyncio
import contextlib
import json
import sys
import time
from asyncio import StreamReader, StreamWriter
from itertools import count
from typing import Any

_PORT, _RECORD_PORT = int(sys.argv[1]), 9000
_recorded: list[dict[str, Any]] = []
_connections = count(1)


async def _serve(reader: StreamReader, writer: StreamWriter) -> None:
    connection = next(_connections)
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            received = await _read(reader)
            received["connection"] = connection
            _recorded.append(received)
            if not await _respond(received, reader, writer):
                break
    writer.close()


async def _read(reader: StreamReader) -> dict[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n")
    line, *fields = head.split("\r\n")
    method, target, _ = line.split(" ", 2)
    headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    length = await _read_body(dict(headers), reader)
    return {"method": method, "target": target, "headers": headers, "length": length, "at": time.time(), "gone": None}


async def _read_body(headers: dict[str, str], reader: StreamReader) -> int:
    """Reads a request's body to its end; returns its length."""
    if headers.get("transfer-encoding") != "chunked":
        length = int(headers.get("content-length", "0"))
        await reader.readexactly(length)
        return length
    length = 0
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
        length += size
    await reader.readexactly(2)
    return length


async def _respond(received: dict[str, Any], reader: StreamReader, writer: StreamWriter) -> bool:
    """Responds; returns whether another request may follow."""
    headers = dict(received["headers"])
    do = json.loads(headers.get("x-do", "{}"))
    if "status" in do:
        await _send(writer, do["status"], do.get("headers", {}), do.get("body", ""))
    elif "stream" in do:
        return await _stream(do, received, reader, writer)
    elif "hang" in do:
        await _note_disconnect(received, reader)
        return False
    elif "reset" in do:
        return False
    elif "garbage" in do:
        writer.write(b"HTTP/1.1 200 OK\r\nthis is\0 no header\r\n\r\n")
        await writer.drain()
        return False
    elif "upgrade" in do:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := await reader.read(100):
            writer.write(data.upper())
            await writer.drain()
        return False
    else:
        await _send(writer, 200, {"x-request-id": headers.get("x-request-id", "none")}, json.dumps(received))
    return True


async def _send(writer: StreamWriter, status: int, headers: dict[str, str], body: str) -> None:
    fields = {"content-type": "application/json", **headers, "content-length": str(len(body))}
    log_lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} Fake\r\n{log_lines}\r\n{body}".encode())
    await writer.drain()


async def _stream(do: dict[str, Any], received: dict[str, Any], reader: StreamReader, writer: StreamWriter) -> bool:
    going = asyncio.create_task(_note_disconnect(received, reader))
    try:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")
        writer.write(b"x-request-id: of-the-fake\r\n\r\n")
        for number in range(do["stream"]):
            event = f"data: {number}\n\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.wait([going], timeout=do["every"])
            if going.done():
                return False
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        await writer.drain()
    finally:
        going.cancel()
    return False


async def _note_disconnect(received: dict[str, Any], reader: StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1000):
            pass
    received["gone"] = time.time()


async def _serve_record(reader: StreamReader, writer: StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await _send(writer, 200, {"connection": "close"}, json.dumps(_recorded))
    writer.close()


async def _main() -> None:
    async with (
        await asyncio.start_server(_serve, "0.0.0.0", _PORT, backlog=4096),
        await asyncio.start_server(_serve_record, "0.0.0.0", _RECORD_PORT),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
