"""Many requests of many kinds at once, each of which knows how it must end and how it must be counted."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.integration.parts.mock import chat
from tests.integration.parts.program import HOST
from tests.integration.parts.raw import encode

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
_FIRST_TOKEN = b" w000"


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of request.

    Attributes:
        name: For failures.
        outcome: How it must be counted.
        code: The status that it must get and be counted with; 499 where the client leaves before one.
        body: What it sends; bytes as they are.
        route: Where to; the label too, unless `label` says otherwise.
        model: The label that it must be counted with.
        key: `good`, `wrong` or None.
        leave: When the client goes: `before` or `after` the first token; None to stay to the end.
        broken: Whether the answer is a stream that must end with an error event and without [DONE].
        tokens: Those of input and output that the engine counts and the gateway must have heard of.
        sent: Tokens that went out before it broke.
        attempts: Attempts at the engine by result.
    """

    name: str
    outcome: str
    code: int
    body: Any = None
    route: str = CHAT
    label: str | None = None
    model: str = "mock"
    method: str = "POST"
    key: str | None = "good"
    leave: str | None = None
    broken: bool = False
    tokens: tuple[int, int] = (0, 0)
    sent: int = 0
    attempt: str | None = None

    @property
    def stream(self) -> bool:
        return isinstance(self.body, dict) and bool(self.body.get("stream"))

    @property
    def labels(self) -> tuple[str, ...]:
        """route, model, stream, outcome, code: as in `gateway_requests_total`."""
        told = str(self.stream and self.model == "mock").lower()
        return (self.label or self.route, self.model, told, self.outcome, str(self.code))


def _steered(**mock: Any) -> dict[str, Any]:
    return {"mock": mock}


# What the relay makes of `chat()`: six words in, and as many tokens out as the engine is told.
OK_PLAIN = Kind("ok plain", "ok", 200, chat(), tokens=(6, 16), attempt="ok")
OK_STREAM = Kind("ok stream", "ok", 200, chat(stream=True), tokens=(6, 16), sent=16, attempt="ok")
KINDS: dict[Kind, int] = {
    OK_PLAIN: 80,
    OK_STREAM: 80,
    Kind(
        "ok text stream", "ok", 200, {"model": "mock", "prompt": "one two", "stream": True, "max_tokens": 5},
        route=COMPLETIONS, tokens=(2, 5), sent=5, attempt="ok",
    ): 30,
    Kind(
        "ok embedding", "ok", 200, {"model": "mock", "input": "one two three"}, route=EMBEDDINGS, tokens=(3, 0),
        attempt="ok",
    ): 20,
    Kind("ok models", "ok", 200, route="/v1/models", model="none", method="GET"): 5,
    Kind(
        "plain cancelled", "cancelled", 499, chat(**_steered(ttft_s=30)), leave="before", attempt="cancelled"
    ): 30,
    Kind(
        "stream cancelled early", "cancelled", 499, chat(stream=True, **_steered(ttft_s=30)), leave="before",
        attempt="cancelled",
    ): 30,
    Kind(
        "stream cancelled late", "cancelled", 200, chat(stream=True, **_steered(tokens=900, interval_s=0.03)),
        leave="after", sent=1, attempt="cancelled",
    ): 40,
    Kind("wrong key", "client_error", 401, chat(), model="none", key="wrong"): 25,
    Kind("no key", "client_error", 401, chat(), model="none", key=None): 10,
    Kind("unknown model", "client_error", 404, {**chat(), "model": "made-up"}, model="other"): 25,
    Kind("broken JSON", "client_error", 400, b'{"model": "mock", ', model="none"): 20,
    Kind("no messages", "client_error", 400, {"model": "mock"}, model="none"): 10,
    Kind("unknown path", "client_error", 404, chat(), route="/v1/made-up", label="other", model="none"): 10,
    Kind("wrong method", "client_error", 405, method="GET", model="none"): 5,
    Kind("engine says 422", "client_error", 422, chat(**_steered(fault="status:422")), attempt="rejected"): 5,
    Kind("engine says 500", "engine_error", 502, chat(**_steered(fault="status:500")), attempt="broken"): 20,
    Kind("engine says HTML", "engine_error", 502, chat(stream=True, **_steered(fault="html")), attempt="broken"): 5,
    Kind("no first event", "timeout", 504, chat(stream=True, **_steered(fault="hang")), attempt="timeout"): 8,
    Kind("no answer", "timeout", 504, chat(**_steered(fault="hang")), attempt="timeout"): 4,
    Kind(
        "stall", "timeout", 200, chat(stream=True, **_steered(fault="stall:2")), broken=True, sent=2,
        attempt="timeout",
    ): 8,
    Kind(
        "break", "stream_error", 200, chat(stream=True, **_steered(fault="break:3", interval_s=0.02)), broken=True,
        sent=3, attempt="reset",
    ): 15,
    Kind(
        "end without [DONE]", "stream_error", 200,
        chat(stream=True, **_steered(fault="end_without_done:2", interval_s=0.02)), broken=True, sent=2,
        attempt="broken",
    ): 10,
    Kind(
        "error event", "stream_error", 200, chat(stream=True, **_steered(fault="error_event:1", interval_s=0.02)),
        broken=True, sent=1, attempt="broken",
    ): 5,
}  # fmt: skip


@dataclass
class Ledger:
    """What a test knows to have happened."""

    ended: Counter[Kind] = field(default_factory=Counter)
    lost: Counter[Kind] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def by(self, value: Any) -> dict[Any, float]:
        """The requests that ended, by what `value` says of their kind; those of which it says None are left out."""
        sums: Counter[Any] = Counter()
        for kind, count in self.ended.items():
            if (key := value(kind)) is not None:
                sums[key] += count
        return dict(sums)


class Traffic:
    """Sends requests, each over a connection of its own, and writes down in a ledger how they end.

    Args:
        port: The gateway's.
        key: A good key.
        at_once: How many requests at the same time.
    """

    def __init__(self, port: int, key: str, at_once: int = 24) -> None:
        self.ledger = Ledger()
        self._port = port
        self._keys = {"good": key, "wrong": "gh-wrong", None: None}
        self._slots = asyncio.Semaphore(at_once)

    async def send_all(self, kinds: Iterable[Kind]) -> None:
        """Sends requests of these kinds and waits for all of them."""
        await asyncio.gather(*(self._send_one(kind) for kind in kinds))

    async def _send_one(self, kind: Kind) -> None:
        async with self._slots:
            await self.send(kind)

    async def send(self, kind: Kind, begun: asyncio.Event | None = None) -> None:
        """Sends one request; `begun` is set with its first token."""
        reader, writer = await asyncio.open_connection(HOST, self._port)
        received = b""
        try:
            headers = {"connection": "close"}
            writer.write(encode(kind.route, kind.body, key=self._keys[kind.key], method=kind.method, headers=headers))
            if kind.leave == "before":
                await asyncio.sleep(0.3)
                self.ledger.ended[kind] += 1
                return
            while data := await reader.read(65_536):
                received += data
                if _FIRST_TOKEN in received and begun is not None:
                    begun.set()
                if kind.leave == "after" and _FIRST_TOKEN in received:
                    self.ledger.ended[kind] += 1
                    return
            self._judge(kind, received)
        except ConnectionResetError:
            self._judge(kind, received)
        finally:
            writer.close()

    def _judge(self, kind: Kind, received: bytes) -> None:
        head, _, body = received.partition(b"\r\n\r\n")
        if not body or (b"chunked" in head and not body.endswith(b"0\r\n\r\n")):
            self.ledger.lost[kind] += 1
            return
        self.ledger.ended[kind] += 1
        status = int(head.split()[1])
        if status != kind.code:
            self.ledger.wrong.append(f"{kind.name}: {status} {body[:300]!r}")
        elif kind.stream and status == 200 and (b"[DONE]" in body) == kind.broken:
            self.ledger.wrong.append(f"{kind.name}: [DONE] in a stream that broke, or none: {body[-300:]!r}")
        elif kind.broken and b'data: {"error":' not in body:
            self.ledger.wrong.append(f"{kind.name}: no error event: {body[-300:]!r}")
        elif status != 200:
            json.loads(body)["error"]["message"]
