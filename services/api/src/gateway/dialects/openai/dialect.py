"""OpenAI's dialect: its parts, put together as `gateway.dialects.base.Dialect` wants them."""

from collections.abc import Callable

from gateway.dialects.base import Headers, InferenceRequest
from gateway.dialects.openai.aggregate import AggregatingStream, plain_as_stream
from gateway.dialects.openai.answer import parse_answer
from gateway.dialects.openai.errors import engine_error, error_body, error_event, error_in
from gateway.dialects.openai.request import parse_request
from gateway.dialects.openai.stream import EventStream
from gateway.dialects.openai.usage_scan import UsageScanner
from gateway.errors import Unauthorized


class OpenAIDialect:
    """See `gateway.dialects.base.Dialect` for each member."""

    plain_headers: Headers = ((b"content-type", b"application/json"),)
    stream_headers: Headers = (
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
    )

    parse = staticmethod(parse_request)
    parse_answer = staticmethod(parse_answer)
    usage_scanner = UsageScanner
    engine_error = staticmethod(engine_error)
    error_in = staticmethod(error_in)
    error_body = staticmethod(error_body)
    error_event = staticmethod(error_event)

    def credentials(self, header: Callable[[bytes], bytes | None]) -> bytes:
        """The key of `Authorization: Bearer …`."""
        authorization = header(b"authorization")
        if not authorization:
            raise Unauthorized(
                "No API key. Send it in the header 'Authorization: Bearer YOUR_KEY'.", code="missing_api_key"
            )
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not key:
            raise Unauthorized("The Authorization header must read 'Bearer YOUR_KEY'.", code="missing_api_key")
        return key.strip()

    def to_engine(self, request: InferenceRequest, *, as_stream: bool) -> bytes:
        """The client's own bytes, unless a plain request must become a stream."""
        return plain_as_stream(request.body) if as_stream else request.body

    def stream(self, request: InferenceRequest) -> EventStream:
        """Chunks up to `[DONE]`."""
        return EventStream(keep_usage=request.usage_wanted, n=request.n)

    def aggregator(self, request: InferenceRequest) -> AggregatingStream:
        """Chunks, put together."""
        return AggregatingStream(n=request.n)


OPENAI = OpenAIDialect()
