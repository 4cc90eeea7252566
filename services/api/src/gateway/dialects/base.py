"""What a dialect is: the shape in which clients ask and are answered. Each is a package beside this module.

Everything here works on bytes and plain values. What differs between two dialects is behind `Dialect`; whoever relays a
request knows no more than this module.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from gateway.errors import GatewayError
from gateway.usage import Usage

Headers = tuple[tuple[bytes, bytes], ...]


class Documentation(NamedTuple):
    """How the OpenAPI page shows an endpoint.

    Attributes:
        summary: One line.
        properties: JSON schemas of the body's fields that clients should know; it may have any others.
        required: Which of them every request has.
        example: A body that works.
    """

    summary: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]
    example: Mapping[str, Any]


class Endpoint(NamedTuple):
    """A relayed path.

    Attributes:
        path: The path here; the route label.
        engine_path: The path at the engine.
        dialect: What is spoken there.
        streams: Whether an answer can be a stream.
        documentation: How it is shown.
    """

    path: str
    engine_path: bytes
    dialect: "Dialect"
    streams: bool
    documentation: Documentation


class InferenceRequest(NamedTuple):
    """What the gateway needs to know of a request.

    Attributes:
        endpoint: Where it came in.
        model: The model asked for.
        stream: Whether the answer is to be a stream of events.
        usage_wanted: Whether the client itself asked for the usage event at the end of a stream.
        body: What to send to the engine: the client's own bytes where that is possible.
        n: Choices per prompt.
    """

    endpoint: Endpoint
    model: str
    stream: bool
    usage_wanted: bool
    body: bytes
    n: int = 1


class StreamDecoder(Protocol):
    """Follows one stream. Feed it what the engine sends; it returns what may go to the client.

    Attributes:
        token_events: Events so far, from the first with a token in it on.
        events_seen: Events with data so far: signs of life, which comments and empty events are not.
        done: Whether the dialect's last event has come; only then was the stream complete.
        failure: What ended the stream, once something has: the engine's own error, or bytes that are not an event.
    """

    token_events: int
    events_seen: int
    done: bool
    failure: GatewayError | None

    @property
    def usage(self) -> Usage | None:
        """The engine's token count, once it has come."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes; returns whole events only, b"" while one is incomplete. Sets `failure`, never raises.

        Of what comes in one piece, the good events before an error are returned.
        """
        ...

    def finish(self) -> bytes:
        """The body has ended. Returns what is left of it; sets `failure` where the stream is not complete."""
        ...


class StreamAggregator(StreamDecoder, Protocol):
    """Follows a stream of which a plain answer is made; `feed` returns nothing for the client."""

    def answer(self) -> bytes:
        """The plain answer, in the engine's shape. Once `done`."""
        ...


class UsageScanner(Protocol):
    """Finds the usage in a plain answer that is too large to be held. Feed it all of it, in order.

    Attributes:
        complete: Whether the answer has begun and ended.
        usage: The engine's token count, once it has come.
    """

    complete: bool
    usage: Usage | None

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        ...


class Dialect(Protocol):
    """One shape of requests, answers, streams and errors.

    Attributes:
        plain_headers: Headers of an answer that is not a stream, errors included.
        stream_headers: Headers of a stream.
    """

    plain_headers: Headers
    stream_headers: Headers

    # What the client sends

    def credentials(self, header: Callable[[bytes], bytes | None]) -> bytes:
        """The API key that came with a request.

        Args:
            header: A request header's value by its lower-case name.

        Raises:
            Unauthorized: There is none.
        """
        ...

    def parse(self, endpoint: Endpoint, body: bytes) -> InferenceRequest:
        """Reads a request's body.

        Raises:
            InvalidRequest: It cannot be read, or a field that the gateway reads has the wrong type.
        """
        ...

    # What the engine gets

    def to_engine(self, request: InferenceRequest, *, as_stream: bool) -> bytes:
        """The body to send to the engine.

        Args:
            request: What was asked.
            as_stream: Whether a plain request must reach the engine as a stream.

        Raises:
            InvalidRequest: It cannot be written again.
        """
        ...

    # What the engine sends

    def stream(self, request: InferenceRequest) -> StreamDecoder:
        """What follows the stream that answers this request."""
        ...

    def aggregator(self, request: InferenceRequest) -> StreamAggregator:
        """What makes the plain answer to this request from a stream."""
        ...

    def parse_answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        """A whole plain answer as the client gets it, and what it took.

        Raises:
            EngineBadResponse: It is not an answer.
            GatewayError: It is an error, in spite of its status.
        """
        ...

    def usage_scanner(self) -> UsageScanner:
        """What finds the usage in a plain answer that goes to the client as it comes."""
        ...

    def engine_error(self, status: int, body: bytes, *, retry_after: int | None) -> GatewayError:
        """An engine's error as one of ours.

        Args:
            status: The engine's.
            body: As it came, possibly cut.
            retry_after: Seconds, by the engine's own header.
        """
        ...

    def error_in(self, body: bytes) -> GatewayError | None:
        """The engine's error in a body that came with a status of success where a stream should be."""
        ...

    # What the client gets when a request fails

    def error_body(self, error: GatewayError) -> bytes:
        """An error as a plain answer's body."""
        ...

    def error_event(self, error: GatewayError) -> bytes:
        """An error as the end of a stream that has already begun."""
        ...
