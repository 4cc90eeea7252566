"""One attempt at one engine: from sending the request to an answer that can be trusted, before the client sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from gateway.cost import EngineMeter
from gateway.deadline import RequestDeadline
from gateway.dialects.openai.aggregate import ChunkAggregator, as_stream
from gateway.dialects.openai.answer import parse_answer
from gateway.dialects.openai.errors import holds_error, parse_retry_after, read_body, translate_error
from gateway.dialects.openai.request import Endpoint, InferenceRequest
from gateway.dialects.openai.stream import EventStream
from gateway.dialects.openai.usage_scan import UsageScanner
from gateway.engines import Engine
from gateway.errors import EngineBadResponse, GatewayError
from gateway.telemetry.observation import RequestObservation
from gateway.upstream import Response

_OK = 200
# A plain answer up to this many bytes is held until it is whole; a longer one, embeddings most likely, is relayed as it
# comes.
PLAIN_BUFFER = 1_048_576
# Of an error no more is read than this, in bytes.
_MAX_ERROR = 65_536

Headers = tuple[tuple[bytes, bytes], ...]


class Timeouts(NamedTuple):
    """Seconds per phase of a request."""

    body: float
    ttft: float
    idle: float
    send: float
    total: float


class UpstreamResponse(NamedTuple):
    """An attempt that succeeded so far.

    Attributes:
        response: The engine's answer.
        first: The stream's first events, the whole plain answer, or the beginning of one that is too large to hold.
        events: The stream; None for a plain answer.
        rest: Scans a plain answer of which more is to come; None for one that is whole.
    """

    response: Response
    first: bytes
    events: EventStream | None = None
    rest: UsageScanner | None = None


@asynccontextmanager
async def attempt(
    engine: Engine,
    endpoint: Endpoint,
    request: InferenceRequest,
    observation: RequestObservation,
    deadline: RequestDeadline,
    timeouts: Timeouts,
    headers: Headers,
) -> AsyncIterator[UpstreamResponse]:
    """Sends the request, reads an answer as far as it takes to trust it, and lets the engine go at the end.

    A stream is trusted from its first event on, a plain answer when it is whole, or too large to be held. Leaving early
    cuts the connection, which is how an engine learns that nobody wants its answer any more.

    Raises:
        EngineError, ClientError: There is an error instead, or no answer at all.
    """
    folded = endpoint.streams and not request.stream and not engine.aborts_on_disconnect
    streamed = request.stream or folded
    collector = ChunkAggregator() if folded else None
    events = EventStream(keep_usage=request.usage_wanted, n=request.n, sink=collector) if streamed else None
    # A plain answer comes whole: until then, a long one and a hung engine look the same. Its watcher tells them apart.
    deadline.phase("ttft" if streamed else "total", timeouts.ttft if streamed else timeouts.total)
    observation.token_events = 0
    engine.inflight += 1
    meter = engine.meter
    if meter is not None:
        meter.begin()
    response: Response | None = None
    finished = False
    try:
        with deadline:
            engine.waiting.add(deadline.interrupt)
            body = as_stream(request.body) if folded else request.body
            response = await engine.upstream.request(b"POST", endpoint.path.encode(), body, headers)
            await _check_head(response)
            if events is None:
                opened = await _read_plain(response)
            else:
                opened = await _first_event(response, events)
            if events is not None and collector is not None:
                await _read_all(response, events, engine, observation, deadline, timeouts.idle)
                opened = UpstreamResponse(response, collector.answer(events.usage))
            if opened.events is None and opened.rest is None:
                observation.usage = parse_answer(opened.first)
                if meter is not None:  # the answer is whole; its head says what it cost
                    _charge(meter, observation, events)
                    meter = None
        engine.waiting.discard(deadline.interrupt)
        yield opened
        finished = True
    finally:
        engine.waiting.discard(deadline.interrupt)
        engine.inflight -= 1
        if meter is not None:
            _charge(meter, observation, events)
        if response is not None:
            response.close(linger=finished, reuse=not (streamed and engine.closes_after_streams))


def _charge(meter: EngineMeter, observation: RequestObservation, events: EventStream | None) -> None:
    """The attempt has left the engine, and pays for what it has used itself."""
    usd, equivalents = meter.end(observation.usage, 0 if events is None else events.events)
    observation.charge(meter.engine, usd, equivalents)


async def _check_head(response: Response) -> None:
    """Makes sure that an answer follows.

    Raises:
        GatewayError: It is an error.
        EngineBadResponse: It is compressed, which nobody asked for.
    """
    if response.status != _OK:
        raise translate_error(
            response.status,
            read_body(await response.beginning(_MAX_ERROR)),
            retry_after=parse_retry_after(response.headers.get(b"retry-after")),
        )
    coding = response.headers.get(b"content-encoding", b"identity")
    if coding.lower() not in {b"identity", b""}:
        raise EngineBadResponse(
            f"The engine's answer is encoded as {coding.decode('latin-1')!r}, which nobody asked for."
        )


async def _read_plain(response: Response) -> UpstreamResponse:
    """Reads a plain answer to its end, or as far as it may be held."""
    parts: list[bytes] = []
    size = 0
    while size <= PLAIN_BUFFER:
        data = await response.chunk()
        if not data:
            return UpstreamResponse(response, parts[0] if len(parts) == 1 else b"".join(parts))
        parts.append(data)
        size += len(data)
    first = b"".join(parts)
    if not first.lstrip().startswith(b"{"):
        raise EngineBadResponse("The engine's answer is not a JSON object.")
    return UpstreamResponse(response, first, rest=UsageScanner())


async def _first_event(response: Response, events: EventStream) -> UpstreamResponse:
    """Waits for a stream's first event.

    Raises:
        EngineBadResponse: What comes is no stream of events.
        GatewayError: It is an error. One that comes behind tokens in the same piece is left to whoever relays those.
    """
    if not response.headers.get(b"content-type", b"").lower().startswith(b"text/event-stream"):
        content = read_body(await response.beginning(_MAX_ERROR))
        raise _not_a_stream(content)
    first = b""
    while not events.events_seen and events.failure is None:
        first += await next_events(response, events)
    if events.failure is not None and not events.events:
        raise events.failure
    return UpstreamResponse(response, first, events)


def _not_a_stream(content: object) -> GatewayError:
    if isinstance(content, dict) and holds_error(content):
        return translate_error(None, content)
    return EngineBadResponse("The engine answered a stream with something else.")


async def _read_all(
    response: Response,
    events: EventStream,
    engine: Engine,
    observation: RequestObservation,
    deadline: RequestDeadline,
    idle: float,
) -> None:
    """Reads a stream to its end for whoever collects its chunks.

    Raises:
        GatewayError: It broke on the way.
    """
    events_seen, last_event_at = 0, None
    while events.failure is None and not events.done:
        observation.token_events = events.events  # what is wasted should the answer never be whole
        if events.events_seen != events_seen:
            engine.record_progress()
        last_event_at = deadline.phase("idle", idle, since=last_event_at if events.events_seen == events_seen else None)
        events_seen = events.events_seen
        await next_events(response, events)
    if events.failure is not None:
        raise events.failure


async def next_events(response: Response, events: EventStream) -> bytes:
    """Feeds the stream with its next bytes, or ends it; returns what may go to the client."""
    data = await response.chunk()
    return events.feed(data) if data else events.finish()
