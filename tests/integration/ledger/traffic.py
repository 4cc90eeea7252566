"""Requests in progress: one of each case or thousands at once, each over a connection of its own or a given one."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.integration.ledger.expected_counters import ExpectedCounters
from tests.integration.ledger.request_case import RequestCase
from tests.support.http.async_connection import AsyncConnection
from tests.support.http.message import encode_request
from tests.support.mock import Mock

_TOKEN, _ROLE = b'":" w', b'"role":"assistant"'
_TIMEOUT_S = 60.0
_POLL_S = 0.01


class BarrierControl:
    """The barriers of one mock engine: which requests wait there, and their release."""

    def __init__(self, mock: Mock) -> None:
        self._port = mock.port
        self._lock = asyncio.Lock()
        self._waiting: Mapping[str, int] = {}

    async def wait_for_request(self, barrier: str) -> None:
        """Returns once a request waits at this barrier."""
        while barrier not in self._waiting:
            async with self._lock:
                if barrier not in self._waiting:
                    self._waiting = (await self._request())["at_barriers"]
            await asyncio.sleep(_POLL_S)

    async def release(self, barrier: str) -> None:
        await self._request("POST", {"release": [barrier]})

    async def _request(self, method: str = "GET", body: Any = None) -> dict[str, Any]:
        connection = await AsyncConnection.open(self._port)
        try:
            connection.send(encode_request("/mock", body, method=method, headers={"connection": "close"}))
            await connection.read_to_end()
            stats: dict[str, Any] = json.loads(connection.body)
            return stats
        finally:
            connection.close()


@dataclass
class HeldRequest:
    """A request that is held in the engine at an exact point."""

    case: RequestCase
    connection: AsyncConnection
    barrier: str
    traffic: "Traffic"

    async def release(self) -> None:
        """Lets it continue."""
        await self.traffic.controls[self.case.engine].release(self.barrier)

    async def finish(self) -> None:
        """Reads its response to the end, checks and records it."""
        async with asyncio.timeout(_TIMEOUT_S):
            await self.connection.read_to_end()
        self.traffic.check(self.case, self.connection)
        self.connection.close()

    async def expect_lost(self) -> None:
        """Its worker has been killed: the response must not be complete."""
        async with asyncio.timeout(_TIMEOUT_S):
            await self.connection.read_to_end()
        if self.connection.complete:
            self.traffic.expected.failures.append(f"{self.case.name}: answered by a worker that was killed")
        self.traffic.expected.record_lost(self.case)
        self.connection.close()


@dataclass
class Traffic:
    """Sends requests to a gateway and records how they end.

    Args:
        port: The gateway's.
        keys: The API keys, by their names in the cases.
        mocks: The engines.
        concurrency: How many requests at the same time.
    """

    port: int
    keys: Mapping[str, str]
    mocks: Iterable[Mock]
    concurrency: int = 32
    expected: ExpectedCounters = field(default_factory=ExpectedCounters)

    def __post_init__(self) -> None:
        self.controls = {mock.name: BarrierControl(mock) for mock in self.mocks}
        self._slots = asyncio.Semaphore(self.concurrency)
        self._numbers = count()

    async def send_all(self, cases: Iterable[RequestCase]) -> None:
        """Sends requests of these cases and waits for all of them."""
        async with asyncio.TaskGroup() as group:
            for case in cases:
                group.create_task(self._send_limited(case))

    async def _send_limited(self, case: RequestCase) -> None:
        async with self._slots:
            await self.send(case)

    async def send(self, case: RequestCase, connection: AsyncConnection | None = None) -> None:
        """Sends one request, over a connection of its own or the given one, and waits for its end."""
        held = await self.begin(case, connection)
        if case.disconnects:
            self.expected.record(case, _tokens_in(held.connection))
            self._check_tokens(case, held.connection)
            held.connection.close()
            return
        if case.held_after is not None:
            await held.release()
        await held.finish()

    async def begin(self, case: RequestCase, connection: AsyncConnection | None = None) -> HeldRequest:
        """Sends one request; returns once it is held, or at once where it is not to be held."""
        barrier = f"barrier-{next(self._numbers)}"
        connection = connection or await AsyncConnection.open(self.port)
        connection.send(self._encode(case, barrier))
        if case.held_after is not None:
            async with asyncio.timeout(_TIMEOUT_S):
                await self.controls[case.engine].wait_for_request(barrier)
        if case.stream and (case.held_after or case.tokens_received is None):
            async with asyncio.timeout(_TIMEOUT_S):
                await self._read_until_held(case, connection)
        return HeldRequest(case, connection, barrier, self)

    async def _read_until_held(self, case: RequestCase, connection: AsyncConnection) -> None:
        """Reads everything that the engine sends before it waits; where it never waits, up to the first token."""
        awaited = 1 if case.held_after is None else case.held_after - 1
        while _ROLE not in connection.received or _tokens_in(connection) < awaited:
            if not await connection.read():
                self.expected.failures.append(f"{case.name}: ended before it was held: {connection.received[-300:]!r}")
                return

    def _encode(self, case: RequestCase, barrier: str) -> bytes:
        body = case.body
        if case.held_after is not None:
            body = {**body, "mock": {**body["mock"], "barrier": barrier, "barrier_after": case.held_after}}
        key = None if case.key is None else self.keys[case.key]
        request = encode_request(case.route, body, key=key, method=case.method, headers={"connection": "close"})
        return request[: len(request) - 10] if case.half_body else request

    def check(self, case: RequestCase, connection: AsyncConnection) -> None:
        """Checks that a response is the expected one, and records it."""
        self.expected.record(case, _tokens_in(connection))
        if failure := self._failure(case, connection):
            self.expected.failures.append(f"{case.name}: {failure}: {connection.received[-300:]!r}")
        else:
            self._check_tokens(case, connection)

    def _failure(self, case: RequestCase, connection: AsyncConnection) -> str | None:
        if not connection.complete:
            return "incomplete"
        if connection.status != case.code:
            return f"status {connection.status}"
        if case.stream and case.code == 200 and (b"[DONE]" in connection.body) == case.ends_with_error:
            return "[DONE] in a stream that failed, or none in a good one"
        if case.ends_with_error and b'data: {"error":' not in connection.body:
            return "no error event"
        if case.code != 200 and b'"error":{"message"' not in connection.body:
            return "no error in the response"
        return None

    def _check_tokens(self, case: RequestCase, connection: AsyncConnection) -> None:
        received = _tokens_in(connection)
        if case.stream and case.tokens_received is not None and received != case.tokens_received:
            self.expected.failures.append(
                f"{case.name}: {received} tokens, not {case.tokens_received}: {connection.received[-300:]!r}"
            )


def _tokens_in(connection: AsyncConnection) -> int:
    return connection.received.count(_TOKEN)
