"""A fake ASGI server: the messages that it delivers to an application, and those that it was sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.asgi_exchange import ABORT_EXTENSION, AsgiExchange
from gateway.dialects import DEFAULT_DIALECT

if TYPE_CHECKING:
    from gateway.telemetry.observation import RequestObservation

DISCONNECT = {"type": "http.disconnect"}


def body_message(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class FakeAsgi:
    """One request. When its messages have been received, the client stays connected and sends nothing more."""

    def __init__(
        self, *messages: dict[str, Any], headers: dict[bytes, bytes] | None = None, method: str = "POST"
    ) -> None:
        self.messages = [*messages]
        self.sent: list[dict[str, Any]] = []
        self.aborted = 0
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "headers": list((headers or {}).items()),
            "extensions": {ABORT_EXTENSION: {"abort": self.abort}},
        }

    def abort(self) -> None:
        self.aborted += 1
        self.messages = [DISCONNECT]

    async def receive(self) -> dict[str, Any]:
        if not self.messages:
            await asyncio.sleep(60)
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def head(self) -> dict[bytes, bytes]:
        """The headers of the answer."""
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return b"".join(message["body"] for message in self.sent[1:])


def exchange_on(asgi: FakeAsgi, observation: RequestObservation) -> AsgiExchange:
    """An exchange that has begun."""
    exchange = AsgiExchange(asgi.scope, asgi.receive, asgi.send)
    exchange.begin(observation, DEFAULT_DIALECT)
    return exchange
