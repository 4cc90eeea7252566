"""One attempt at one engine: from sending the request to an answer that can be trusted, before the client sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from gateway.cost import Account
from gateway.dialects.openai.answer import engine_error, parse_answer
from gateway.dialects.openai.collect import Collector, as_stream
from gateway.dialects.openai.request import Endpoint, Inference
from gateway.dialects.openai.stream import EventStream
from gateway.engines import Engine
from gateway.errors import EngineBroken
from gateway.guard import Guard
from gateway.telemetry.observation import Observation
from gateway.upstream import Response

_OK = 200
# The longest plain answer that is relayed, in bytes: a batch of embeddings is the largest there is.
_LONGEST_ANSWER = 268_435_456


class Timeouts(NamedTuple):
    """Seconds per phase of a request."""

    body: float
    ttft: float
    idle: float
    send: float
    total: float


class Opened(NamedTuple):
    """An attempt that succeeded so far.

    Attributes:
        response: The engine's answer.
        events: The stream; None for a plain answer.
        first: The stream's first events, or the whole plain answer.
    """

    response: Response
    events: EventStream | None
    first: bytes


@asynccontextmanager
async def attempt(
    engine: Engine,
    endpoint: Endpoint,
    request: Inference,
    observation: Observation,
    guard: Guard,
    timeouts: Timeouts,
) -> AsyncIterator[Opened]:
    """Sends the request, reads an answer as far as it takes to trust it, and lets the engine go at the end.

    A stream is trusted from its first event on, a plain answer when it is whole. Leaving early cuts the connection,
    which is how an engine learns that nobody wants its answer any more.

    Raises:
        EngineError, ClientError: There is an error instead, or no answer at all.
    """
    path, name = endpoint.path.encode(), (b"x-request-id", observation.request_id.encode())
    folded = endpoint.streams and not request.stream and not engine.notices_plain_disconnect
    streamed = request.stream or folded
    # A plain answer comes whole: until then, long generation and a hung engine look the same.
    guard.phase("ttft" if streamed else "total", timeouts.ttft if streamed else timeouts.total)
    engine.inflight += 1
    account = engine.account
    if account is not None:
        account.begin()
    response: Response | None = None
    finished = False
    try:
        with guard:
            body = as_stream(request.body) if folded else request.body
            response = await engine.upstream.request(b"POST", path, body, (name,))
            if response.status != _OK:
                raise engine_error(response.status, await response.read(_LONGEST_ANSWER))
            if not streamed:
                opened = Opened(response, None, await response.read(_LONGEST_ANSWER))
            else:
                opened = await _first_event(
                    response, EventStream(keep_usage=folded or request.usage_wanted, n=request.n)
                )
            if folded:
                opened = await _fold(opened, observation, guard, timeouts.idle)
            if opened.events is None:
                observation.usage = parse_answer(opened.first)
                if account is not None:  # the answer is whole; its head says what it cost
                    _charge(account, observation)
                    account = None
        yield opened
        finished = True
    finally:
        engine.inflight -= 1
        if account is not None:
            _charge(account, observation)
        if response is not None:
            response.close(linger=finished, reuse=not (streamed and engine.closes_after_streams))


def _charge(account: Account, observation: Observation) -> None:
    """The attempt has left the engine, and pays."""
    usd, equivalents = account.end(observation.usage, observation.events)
    observation.charge(account.engine, usd, equivalents)


async def _first_event(response: Response, events: EventStream) -> Opened:
    """Waits for a stream's first event.

    Raises:
        EngineBroken: What comes is no stream of events, or an error.
    """
    if not response.headers.get(b"content-type", b"").startswith(b"text/event-stream"):
        raise EngineBroken("The engine answered a stream with something else.")
    first = b""
    while not events.beats:  # a comment is no event yet
        first += events.feed(await next_bytes(response))
        if events.failure is not None:
            raise EngineBroken(f"The engine failed: {events.failure}")
    return Opened(response, events, first)


async def _fold(opened: Opened, observation: Observation, guard: Guard, idle: float) -> Opened:
    """Reads a stream to its end and makes the plain answer of it."""
    response, events, data = opened
    collector = Collector()
    while events is not None:
        observation.events = events.events  # what is wasted should the answer never be whole
        collector.add(data)
        if events.failure is not None:
            raise EngineBroken(f"The engine failed: {events.failure}")
        if events.done:
            break
        guard.phase("idle", idle)
        data = events.feed(await next_bytes(response))
    return Opened(response, None, collector.answer(None if events is None else events.usage))


async def next_bytes(response: Response) -> bytes:
    """The next bytes of a stream that is not done.

    Raises:
        EngineBroken: It ended without [DONE].
    """
    data = await response.chunk()
    if not data:
        raise EngineBroken("The engine's stream ended early.")
    return data
