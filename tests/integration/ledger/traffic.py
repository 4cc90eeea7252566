"""Requests on their way: one of each case or thousands at once, over connections of their own or over a given one."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Self

from tests.integration.ledger.book import Book
from tests.integration.ledger.case import Case
from tests.support.mock import Mock
from tests.support.program import HOST
from tests.support.raw import encode

_END_OF_HEAD, _LAST_CHUNK = b"\r\n\r\n", b"0\r\n\r\n"
_TOKEN, _ROLE = b'":" w', b'"role":"assistant"'
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_PATIENCE_S = 60.0
_POLL_S = 0.01


class Wire:
    """One connection, and what has come of the answer that it carries."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.received = b""

    @classmethod
    async def to(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection(HOST, port))

    def send(self, data: bytes) -> None:
        self.received = b""
        self._writer.write(data)

    async def read(self) -> bool:
        """Reads what comes next; False at the end."""
        try:
            data = await self._reader.read(65_536)
        except ConnectionError:
            return False
        self.received += data
        return bool(data)

    async def rest(self) -> None:
        """Reads to the end of the answer, or of the connection."""
        while not self.whole and await self.read():
            pass

    def close(self) -> None:
        self._writer.close()

    @property
    def whole(self) -> bool:
        head, end, body = self.received.partition(_END_OF_HEAD)
        if not end:
            return False
        length = _LENGTH.search(head)
        return body.endswith(_LAST_CHUNK) if length is None else len(body) >= int(length[1])

    @property
    def status(self) -> int:
        return int(self.received.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        return self.received.partition(_END_OF_HEAD)[2]


class Control:
    """The mock engine's own page: who stands at which gate; and the gates' porter."""

    def __init__(self, mock: Mock) -> None:
        self._port = mock.port
        self._turn = asyncio.Lock()
        self._standing: Mapping[str, int] = {}

    async def ask(self, method: str = "GET", body: Any = None) -> dict[str, Any]:
        wire = await Wire.to(self._port)
        try:
            wire.send(encode("/mock", body, method=method, headers={"connection": "close"}))
            await wire.rest()
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
    wire: Wire
    gate: str
    traffic: "Traffic"

    async def open(self) -> None:
        """Lets it go on, where its engine lives."""
        await self.traffic.controls[self.case.engine].open(self.gate)

    async def end(self) -> None:
        """Reads its answer to the end, judges it, and writes it down."""
        async with asyncio.timeout(_PATIENCE_S):
            await self.wire.rest()
        self.traffic.judge(self.case, self.wire)
        self.wire.close()

    async def lost(self) -> None:
        """Its worker has been killed: the answer must not be whole."""
        async with asyncio.timeout(_PATIENCE_S):
            await self.wire.rest()
        if self.wire.whole:
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

    async def send(self, case: Case, wire: Wire | None = None) -> None:
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

    async def begin(self, case: Case, wire: Wire | None = None) -> Held:
        """Sends one request; returns once it stands where it is to be held, at once where it is not."""
        gate = f"gate-{next(self._numbers)}"
        wire = wire or await Wire.to(self.port)
        wire.send(self._encode(case, gate))
        if case.hold is not None:
            async with asyncio.timeout(_PATIENCE_S):
                await self.controls[case.engine].standing(gate)
        if case.stream and (case.hold or case.said is None):
            async with asyncio.timeout(_PATIENCE_S):
                await self._reaches(case, wire)
        return Held(case, wire, gate, self)

    async def _reaches(self, case: Case, wire: Wire) -> None:
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
        request = encode(case.route, body, key=key, method=case.method, headers={"connection": "close"})
        return request[: len(request) - 10] if case.half else request

    def judge(self, case: Case, wire: Wire) -> None:
        """Whether an answer is what it must be; and writes it down."""
        self.book.end(case, _seen(wire))
        tail = wire.received[-300:]
        if not wire.whole:
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

    def _check_seen(self, case: Case, wire: Wire) -> None:
        if case.stream and case.said is not None and _seen(wire) != case.said:
            self.book.wrong.append(f"{case.name}: {_seen(wire)} tokens, not {case.said}: {wire.received[-300:]!r}")


def _seen(wire: Wire) -> int:
    return wire.received.count(_TOKEN)
