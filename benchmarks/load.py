"""The load generator: one process, a Protocol per connection, as little work as possible between two reads.

It checks every response, but only after the measurement: until then the bytes of streams are kept, not parsed.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import httptools
import orjson

HOST = "127.0.0.1"
PATH = "/v1/chat/completions"
OK = 200
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint that gets the requests.

    Args:
        port: on 127.0.0.1.
        key: sent as a bearer token.
        model: the model of the requests.
    """

    port: int
    key: str = "none"
    model: str = "mock"

    def request(self, tokens: int, interval_s: float, *, stream: bool) -> bytes:
        """Return a whole HTTP request for this many tokens, `interval_s` seconds apart."""
        body = orjson.dumps(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": "Say a few words about glass, please."}],
                "max_tokens": tokens,
                "stream": stream,
                "mock": {"tokens": tokens, "interval_s": interval_s},
            }
        )
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def expected_text(tokens: int) -> str:
    """Return the mock's text of this many tokens; implemented a second time, so that each checks the other."""
    return "".join(f" w{number % 1000:03d}" for number in range(tokens))


@dataclass(slots=True)
class Outcome:
    """The result of a load.

    Args:
        done: requests with a complete and correct response.
        tokens: token events in them, for streams.
        ttft_ms: milliseconds to the first byte of the body, for each successful stream.
        failures: reasons and how often each occurred; `done` and these add up to all requests.
        wall_s: seconds that it took.
    """

    done: int = 0
    tokens: int = 0
    ttft_ms: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0


@dataclass(slots=True)
class RequestBudget:
    """The number of requests that are still to be sent, shared by the connections."""

    left: int

    def try_acquire(self) -> bool:
        """Take one; False when none is left."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class Response:
    """One response as received, to be checked later.

    Args:
        status: HTTP status; 0 until the head has been read.
        pieces: of the body, without HTTP chunks.
        ttft_s: seconds from sending the request to the first piece; negative until then.
        complete: the end of the HTTP message has been received.
    """

    status: int = 0
    pieces: list[bytes] = field(default_factory=list)
    ttft_s: float = -1.0
    complete: bool = False


class Client(asyncio.Protocol):
    """One connection that sends the same request again and again, one at a time, while the budget lasts.

    Args:
        request: the bytes to send.
        budget: how many requests are left.
        responses: collects every response, failed ones too.
    """

    def __init__(self, request: bytes, budget: RequestBudget, responses: list[Response]) -> None:
        self._request, self._budget, self._answers = request, budget, responses
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: Response | None = None
        self._sent_at = 0.0
        self.idle = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        """Parse; bytes that are not HTTP end the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave an incomplete response as it is, and let the owner reconnect."""
        del exc
        self._transport, self._answer = None, None
        self._set_idle()

    def send(self) -> None:
        """Send the next request, or become idle when none is left."""
        if self._transport is None or not self._budget.try_acquire():
            self._set_idle()
            return
        self._answer = Response()
        self._answers.append(self._answer)
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def on_body(self, body: bytes) -> None:
        """Keep a piece; this is the hot path of a stream."""
        response = self._answer
        if response is None:
            return
        if response.ttft_s < 0:
            response.ttft_s = time.perf_counter() - self._sent_at
            response.status = self._parser.get_status_code()
        response.pieces.append(body)

    def on_message_complete(self) -> None:
        """Complete this response and send the next request."""
        response = self._answer
        if response is None:
            return
        response.status, response.complete, self._answer = self._parser.get_status_code(), True, None
        if self._parser.should_keep_alive():
            self.send()
        else:
            self.close()

    def _set_idle(self) -> None:
        if not self.idle.done():
            self.idle.set_result(None)


async def plain_load(endpoint: Endpoint, *, requests: int, connections: int, tokens: int, timeout_s: float) -> Outcome:
    """Send plain requests over this many connections, each the next as soon as the last has its response."""
    request = endpoint.request(tokens, 0, stream=False)
    budget = RequestBudget(requests)
    responses, wall_s = await _run_connections(endpoint, request, [budget] * connections, 0.0, timeout_s)
    outcome = Outcome(wall_s=wall_s)
    expected = f'"{expected_text(tokens)}"'.encode()
    for response in responses:
        reason = _http_error(response) or (None if expected in b"".join(response.pieces) else "wrong text")
        if reason is None:
            outcome.done += 1
        else:
            outcome.failures[f"plain: {reason}"] += 1
    _count_unsent(outcome, "plain", requests - len(responses))
    return outcome


async def stream_load(
    endpoint: Endpoint, *, streams: int, repeats: int, tokens: int, interval_s: float, timeout_s: float
) -> Outcome:
    """Keep this many streams running, each repeated on its own connection.

    The first starts are spread over the length of a stream, since real clients do not all start at once: the TTFT is
    that of a request that arrives among running streams, not the length of a queue of simultaneous ones.
    """
    request = endpoint.request(tokens, interval_s, stream=True)
    budgets = [RequestBudget(repeats) for _ in range(streams)]
    responses, wall_s = await _run_connections(endpoint, request, budgets, tokens * interval_s, timeout_s)
    outcome = Outcome(wall_s=wall_s)
    for response in responses:
        reason = _http_error(response) or stream_error(b"".join(response.pieces), tokens)
        if reason is None:
            outcome.done += 1
            outcome.tokens += tokens
            outcome.ttft_ms.append(response.ttft_s * 1_000)
        else:
            outcome.failures[f"stream: {reason}"] += 1
    _count_unsent(outcome, "stream", streams * repeats - len(responses))
    return outcome


def stream_error(body: bytes, tokens: int) -> str | None:
    """Return what is wrong with a stream that should have this many tokens; None when it is correct."""
    events = body.split(b"\n\n")
    if events.pop() != b"":
        return "ends within an event"
    if not events or events.pop() != b"data: [DONE]":
        return "no [DONE]"
    contents = []
    for event in events:
        try:
            choices = orjson.loads(event.removeprefix(b"data: "))["choices"]
            contents.append(choices[0]["delta"].get("content") or "")
        except (ValueError, KeyError, IndexError, TypeError):
            return "an event that is not a chat chunk"
    if "".join(contents) != expected_text(tokens):
        return "wrong text"
    return None if sum(1 for content in contents if content) == tokens else "tokens merged or split"


def _http_error(response: Response) -> str | None:
    if response.status not in {0, OK}:
        return f"status {response.status}"
    if not response.complete:
        return "incomplete" if response.status else "no response"
    return None


def _count_unsent(outcome: Outcome, kind: str, count: int) -> None:
    outcome.failures += Counter({f"{kind}: not sent": count})  # which drops a count of zero


async def _run_connections(
    endpoint: Endpoint, request: bytes, budgets: list[RequestBudget], spread_s: float, timeout_s: float
) -> tuple[list[Response], float]:
    """Run one connection per budget until all are spent or the timeout is over; return responses and seconds taken."""
    responses: list[Response] = []
    gc.disable()  # traversing all the responses that are kept would show as latency
    started_at = time.perf_counter()
    tasks = [
        asyncio.create_task(_connection(endpoint, request, budget, responses, spread_s * index / len(budgets)))
        for index, budget in enumerate(budgets)
    ]
    try:
        _, unfinished = await asyncio.wait(tasks, timeout=timeout_s)
        wall_s = time.perf_counter() - started_at
    finally:
        gc.enable()
    for task in unfinished:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return responses, wall_s


async def _connection(
    endpoint: Endpoint, request: bytes, budget: RequestBudget, responses: list[Response], delay_s: float
) -> None:
    """Hold one connection; reopen it while requests are left. An attempt that fails takes one request at least."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(delay_s)
    while budget.left > 0:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, client = await loop.create_connection(
                    lambda: Client(request, budget, responses), HOST, endpoint.port
                )
        except OSError:  # refused, or the timeout, which is an OSError too
            if budget.try_acquire():  # another connection may have taken the last one
                responses.append(Response())
            continue
        try:
            client.send()
            await client.idle
        finally:
            client.close()
