"""Requests on their way: one of each case or thousands at once, over connections of their own or over a given one."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.integration.ledger.book import Book
from tests.integration.ledger.case import Case
from tests.support.http.async_connection import AsyncConnection
from tests.support.http.message import encode_request
from tests.support.mock import Mock

_TOKEN, _ROLE = b'":" w', b'"role":"assistant"'
_PATIENCE_S = 60.0
_POLL_S = 0.01


class Control:
    """The mock engine's own page: who stands at which gate; and the gates' porter."""

    def __init__(self, mock: Mock) -> None:
        self._port = mock.port
        self._turn = asyncio.Lock()
        self._standing: Mapping[str, int] = {}

    async def ask(self, method: str = "GET", body: Any = None) -> dict[str, Any]:
        wire = await AsyncConnection.open(self._port)
        try:
            wire.send(encode_request("/mock", body, method=method, headers={"connection": "close"}))
            await wire.read_to_end()
            told: dict[str, Any] = json.loads(wire.body)
            return told
        finally:
            wire.close()

    async def standing(self, gate: str) -> None:
        """Returns once a request stands at this gate."""
        while gate not in self._standing:
            async with self._turn:
                if gate not in self._standing:
                    self._standing = (await self.ask())["standing"]
            await asyncio.sleep(_POLL_S)

    async def open(self, gate: str) -> None:
        await self.ask("POST", {"open": [gate]})


@dataclass
class Held:
    """A request that stands still in the engine at an exact point."""

    case: Case
    wire: AsyncConnection
    gate: str
    traffic: "Traffic"

    async def open(self) -> None:
        """Lets it go on, where its engine lives."""
        await self.traffic.controls[self.case.engine].open(self.gate)

    async def end(self) -> None:
        """Reads its answer to the end, judges it, and writes it down."""
        async with asyncio.timeout(_PATIENCE_S):
            await self.wire.read_to_end()
        self.traffic.judge(self.case, self.wire)
        self.wire.close()

    async def lost(self) -> None:
        """Its worker has been killed: the answer must not be whole."""
        async with asyncio.timeout(_PATIENCE_S):
            await self.wire.read_to_end()
        if self.wire.complete:
            self.traffic.book.wrong.append(f"{self.case.name}: answered by a worker that was killed")
        self.traffic.book.lose(self.case)
        self.wire.close()


@dataclass
class Traffic:
    """Sends requests to a gateway and writes down in its book how they end.

    Args:
        port: The gateway's.
        keys: The keys, by the names that cases have for them.
        mocks: The engines.
        at_once: How many requests at the same time.
    """

    port: int
    keys: Mapping[str, str]
    mocks: Iterable[Mock]
    at_once: int = 32
    book: Book = field(default_factory=Book)

    def __post_init__(self) -> None:
        self.controls = {mock.name: Control(mock) for mock in self.mocks}
        self._slots = asyncio.Semaphore(self.at_once)
        self._numbers = count()

    async def send_all(self, cases: Iterable[Case]) -> None:
        """Sends requests of these cases and waits for all of them."""
        async with asyncio.TaskGroup() as group:
            for case in cases:
                group.create_task(self._send_in_turn(case))

    async def _send_in_turn(self, case: Case) -> None:
        async with self._slots:
            await self.send(case)

    async def send(self, case: Case, wire: AsyncConnection | None = None) -> None:
        """Sends one request, over a connection of its own or the one given, and sees it to its end."""
        held = await self.begin(case, wire)
        if case.leaves:
            self.book.end(case, _seen(held.wire))
            self._check_seen(case, held.wire)
            held.wire.close()
            return
        if case.hold is not None:
            await held.open()
        await held.end()

    async def begin(self, case: Case, wire: AsyncConnection | None = None) -> Held:
        """Sends one request; returns once it stands where it is to be held, at once where it is not."""
        gate = f"gate-{next(self._numbers)}"
        wire = wire or await AsyncConnection.open(self.port)
        wire.send(self._encode(case, gate))
        if case.hold is not None:
            async with asyncio.timeout(_PATIENCE_S):
                await self.controls[case.engine].standing(gate)
        if case.stream and (case.hold or case.said is None):
            async with asyncio.timeout(_PATIENCE_S):
                await self._reaches(case, wire)
        return Held(case, wire, gate, self)

    async def _reaches(self, case: Case, wire: AsyncConnection) -> None:
        """Reads until all has come that comes before the engine stands still; where it never does, the first token."""
        awaited = 1 if case.hold is None else case.hold - 1
        while _ROLE not in wire.received or _seen(wire) < awaited:
            if not await wire.read():
                self.book.wrong.append(f"{case.name}: ended before it was held: {wire.received[-300:]!r}")
                return

    def _encode(self, case: Case, gate: str) -> bytes:
        body = case.body
        if case.hold is not None:
            body = {**body, "mock": {**body["mock"], "gate": gate, "hold": case.hold}}
        key = None if case.key is None else self.keys[case.key]
        request = encode_request(case.route, body, key=key, method=case.method, headers={"connection": "close"})
        return request[: len(request) - 10] if case.half else request

    def judge(self, case: Case, wire: AsyncConnection) -> None:
        """Whether an answer is what it must be; and writes it down."""
        self.book.end(case, _seen(wire))
        tail = wire.received[-300:]
        if not wire.complete:
            self.book.wrong.append(f"{case.name}: cut short: {tail!r}")
        elif wire.status != case.code:
            self.book.wrong.append(f"{case.name}: {wire.status} {tail!r}")
        elif case.stream and case.code == 200 and (b"[DONE]" in wire.body) == case.broken:
            self.book.wrong.append(f"{case.name}: [DONE] in a stream that broke, or none: {tail!r}")
        elif case.broken and b'data: {"error":' not in wire.body:
            self.book.wrong.append(f"{case.name}: no error event: {tail!r}")
        elif case.code != 200 and b'"error":{"message"' not in wire.body:
            self.book.wrong.append(f"{case.name}: no error in the answer: {tail!r}")
        else:
            self._check_seen(case, wire)

    def _check_seen(self, case: Case, wire: AsyncConnection) -> None:
        if case.stream and case.said is not None and _seen(wire) != case.said:
            self.book.wrong.append(f"{case.name}: {_seen(wire)} tokens, not {case.said}: {wire.received[-300:]!r}")


def _seen(wire: AsyncConnection) -> int:
    return wire.received.count(_TOKEN)
