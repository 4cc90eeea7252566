"""The few pieces of ASGI that the gateway speaks by hand: reading a body, answering, saying who asked."""

import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.coding import Body, too_large
from gateway.dialects.openai.errors import error_body
from gateway.errors import (
    ClientDisconnected,
    GatewayError,
    MethodNotAllowed,
    Unauthorized,
    UnsupportedCoding,
)
from gateway.telemetry.observation import RequestObservation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

# The ASGI extension by which a server lets its application cut the connection, by its callable `abort`.
ABORT_EXTENSION = "glasshouse.drop"
# The type of a scope for what is no request that an application could serve. Its `error` is what to answer.
REFUSED = "glasshouse.refused"
JSON = (b"content-type", b"application/json")
EVENTS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def header(scope: Scope, name: bytes) -> bytes | None:
    """A request header's value; `name` in lower case. None when it is not there."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def request_id(scope: Scope) -> str:
    """The client's own `x-request-id` if it is harmless, else a new one of 128 random bits."""
    given = header(scope, b"x-request-id")
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


async def read_body(
    scope: Scope, receive: Receive, limit: int, progress: Callable[[int], object] = lambda _: None
) -> bytes:
    """The request's whole body, without its content coding.

    Args:
        scope: The request's.
        receive: ASGI's.
        limit: Most bytes that it may have, coded and decoded.
        progress: Called whenever more of it has come, with how many bytes are held.

    Raises:
        BodyTooLarge: It is, or says that it is, longer than `limit` bytes.
        ClientDisconnected: The client left before its end.
        InvalidRequest: It is not what its coding says, or its frame is no HTTP.
        UnsupportedCoding: Its coding is none that is taken.
    """
    length = header(scope, b"content-length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise too_large(limit)
    body = Body(limit, b",".join(value for name, value in scope["headers"] if name == b"content-encoding"))
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected("The client closed the connection while it sent its request.")
        if part := message.get("body", b""):
            await body.add(part)
            progress(body.size)
        if not message.get("more_body", False):
            return body.end()


async def wait_for_disconnect(receive: Receive) -> None:
    """Returns when the client has closed its connection. Only after the whole body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def abort_connection(scope: Scope, receive: Receive) -> None:
    """Cuts the connection of a client that has gone or does not read, with whatever it has left unread.

    Needs a server that offers `ABORT_EXTENSION` (see `gateway.server.worker`): ASGI itself has no word for it.
    """
    drop = scope.get("extensions", {}).get(ABORT_EXTENSION)
    if drop is not None:
        drop["abort"]()
        await wait_for_disconnect(receive)


def response_headers(observation: RequestObservation, length: int | None, *headers: Header) -> list[Header]:
    """The headers of an answer; `length` is that of its body, None where it is not known."""
    own = [*headers, (b"x-request-id", observation.request_id.encode())]
    if length is not None:
        own.append((b"content-length", str(length).encode()))
    if observation.cost is not None:
        own.append((b"x-cost-usd", b"%.12f" % observation.cost))  # without an exponent, as small as it may be
    return own


async def answer(send: Send, observation: RequestObservation, status: int, body: bytes, *headers: Header) -> None:
    """Sends a whole answer."""
    observation.status = status
    own = response_headers(observation, len(body), *headers)
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, observation: RequestObservation, error: GatewayError) -> None:
    """Sends an error in OpenAI's shape. Only where no answer has begun."""
    await answer(send, observation, error.http_status, error_body(error), JSON, *error_headers(error))


def error_headers(error: GatewayError) -> list[Header]:
    """The headers that belong to an error."""
    headers: list[Header] = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.should_retry is not None:
        headers.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    elif isinstance(error, UnsupportedCoding):
        headers.append((b"accept-encoding", error.accepted.encode()))
    return headers
