"""Clients that reuse each connection as soon as a response is complete: the traffic that a reload must not lose."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.gateway import Gateway
from tests.support.http.async_connection import AsyncConnection
from tests.support.http.message import Response, encode_request
from tests.support.mock import chat

PATH = "/v1/chat/completions"


@dataclass
class Outcomes:
    """What became of the requests.

    Attributes:
        answered: Complete responses.
        announced: Connections whose last response had `connection: close`.
        closed: Connections that the client saw closed while no request was under way.
        lost: Requests that were sent before the client could see the close, and got no complete response; the error.
    """

    answered: int = 0
    announced: int = 0
    closed: int = 0
    lost: list[str] = field(default_factory=list)


class KeepAliveLoad:
    """Sends requests over connections that are reused the moment a response is complete.

    Args:
        gateway: The gateway under load.
        plain: How many connections send plain requests one after another.
        streaming: How many stream, each stream followed at once by plain requests on the same connection.
        stream_s: Seconds that a stream takes.
    """

    def __init__(self, gateway: Gateway, *, plain: int, streaming: int, stream_s: float) -> None:
        self.outcomes = Outcomes()
        self._gateway = gateway
        self._kinds = [False] * plain + [True] * streaming
        behaviour = {"tokens": 10, "interval_s": stream_s / 10}
        self._plain = encode_request(PATH, chat(), key=gateway.key)
        self._stream = encode_request(PATH, chat(stream=True, mock=behaviour), key=gateway.key)
        self._stopped = False

    async def run(self, is_enough: Callable[[], bool]) -> None:
        """Keeps all connections busy until it is enough, and lets each finish what it has begun."""
        clients = [asyncio.create_task(self._client(streams=streams)) for streams in self._kinds]
        try:
            while not is_enough():
                await asyncio.sleep(0.05)
                for client in clients:
                    if client.done():
                        client.result()
        finally:
            self._stopped = True
            await asyncio.gather(*clients)

    async def _client(self, *, streams: bool) -> None:
        while not self._stopped:
            connection = await AsyncConnection.open(self._gateway.port)
            try:
                await self._reuse(connection, streams=streams)
            finally:
                connection.close()

    async def _reuse(self, connection: AsyncConnection, *, streams: bool) -> None:
        turn = 0
        while not self._stopped:
            await asyncio.sleep(0)  # an end that has arrived shows now
            if connection.ended:
                self.outcomes.closed += 1
                return
            streamed = streams and turn % 4 == 0
            turn += 1
            connection.send(self._stream if streamed else self._plain)
            try:
                response = await connection.read_response()
                _check(response)
            except (OSError, asyncio.IncompleteReadError, AssertionError) as error:
                self.outcomes.lost.append(f"{time.time():.3f} turn {turn} {error!r}")
                return
            self.outcomes.answered += 1
            if response.headers.get("connection") == "close":
                self.outcomes.announced += 1
                return


def _check(response: Response) -> None:
    """A stream must have its end, everything else its content: an error is a loss too."""
    if response.headers.get("transfer-encoding") == "chunked":
        assert b"data: [DONE]" in response.body, response.body[-300:]
    else:
        assert "choices" in json.loads(response.body), response.body[-300:]
