"""Clients that keep their connections and use each again at once: what a reload must not lose."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.gateway import Gateway
from tests.support.mock import chat
from tests.support.program import HOST
from tests.support.raw import encode

PATH = "/v1/chat/completions"


@dataclass
class Tally:
    """What became of the requests.

    Attributes:
        answered: Whole answers.
        told: Connections whose last answer said `connection: close`.
        closed: Connections that the client saw closed while it had nothing under way.
        lost: Requests that were sent before the client could see an end, and got no whole answer; what came instead.
    """

    answered: int = 0
    told: int = 0
    closed: int = 0
    lost: list[str] = field(default_factory=list)


class KeptAlive:
    """Sends requests over connections that are used again the moment an answer is complete.

    Args:
        gateway: Where to.
        plain: How many connections send plain requests one behind another.
        streaming: How many stream, each stream followed at once by plain requests on the same connection.
        stream_s: Seconds that a stream takes.
    """

    def __init__(self, gateway: Gateway, *, plain: int, streaming: int, stream_s: float) -> None:
        self.tally = Tally()
        self._gateway = gateway
        self._kinds = [False] * plain + [True] * streaming
        steer = {"tokens": 10, "interval_s": stream_s / 10}
        self._plain = encode(PATH, chat(), key=gateway.key)
        self._stream = encode(PATH, chat(stream=True, mock=steer), key=gateway.key)
        self._ended = False

    async def run(self, enough: Callable[[], bool]) -> None:
        """Keeps all connections busy until there is enough, and lets each finish what it has begun."""
        clients = [asyncio.create_task(self._client(streams=streams)) for streams in self._kinds]
        try:
            while not enough():
                await asyncio.sleep(0.05)
                for client in clients:
                    if client.done():
                        client.result()
        finally:
            self._ended = True
            await asyncio.gather(*clients)

    async def _client(self, *, streams: bool) -> None:
        while not self._ended:
            reader, writer = await asyncio.open_connection(HOST, self._gateway.port)
            try:
                await self._connection(reader, writer, streams=streams)
            finally:
                writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, streams: bool) -> None:
        turn = 0
        while not self._ended:
            await asyncio.sleep(0)  # an end that has come shows now
            if reader.at_eof() or reader.exception():
                self.tally.closed += 1
                return
            request = self._stream if streams and turn % 4 == 0 else self._plain
            turn += 1
            writer.write(request)
            try:
                last = await self._answer(reader)
            except (OSError, asyncio.IncompleteReadError, AssertionError) as error:
                self.tally.lost.append(f"{time.time():.3f} turn {turn} {error!r}")
                return
            self.tally.answered += 1
            if last:
                self.tally.told += 1
                return

    async def _answer(self, reader: asyncio.StreamReader) -> bool:
        """Reads one whole answer; True when it says that it was the connection's last."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            body = await reader.readuntil(b"\r\n0\r\n\r\n")
            assert b"data: [DONE]" in body, body[-300:]
        else:
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            answer: dict[str, Any] = json.loads(body)
            assert "choices" in answer, answer
        return b"\r\nconnection: close\r\n" in head
