"""A second dialect is a module of its own: one that is defined here is relayed, counted and answered by what exists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.server import KEY, Gateway, nonzero_samples
from tests.support.in_process.wire import EVENT_STREAM, Wire, chunk, event, plain, raw_engine

from gateway.attempt import PLAIN_BUFFER
from gateway.dialects import ENDPOINTS, sse
from gateway.dialects.base import Documentation, Endpoint, Headers, InferenceRequest
from gateway.errors import EngineBadResponse, EngineRejected, GatewayError, InvalidRequest, Unauthorized
from gateway.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[..., Awaitable[Gateway]]

PATH = "/echo"


def _line(content: Any) -> bytes:
    return json.dumps(content).encode() + b"\n"


class LineStream:
    """Turns the engine's events into lines: `{"piece": …}` while it goes on, `{"end": tokens}` at its end."""

    def __init__(self) -> None:
        self.token_events = self.events_seen = 0
        self.done = False
        self.failure: GatewayError | None = None
        self.usage: Usage | None = None
        self.text = ""
        self._parser = sse.EventParser()

    def feed(self, data: bytes) -> bytes:
        lines = [self._read(json.loads(each.data)) for each in sse.split(self._parser.feed(data)) if each.data]
        return b"".join(lines)

    def finish(self) -> bytes:
        if not self.done:
            self.failure = self.failure or EngineBadResponse("The engine's stream ended early.")
        return b""

    def answer(self) -> bytes:
        assert self.usage is not None
        return json.dumps({"text": self.text, "tokens": self.usage.output}).encode()

    def _read(self, content: dict[str, Any]) -> bytes:
        self.events_seen += 1
        if "broken" in content:
            self.failure = EngineBadResponse(content["broken"])
            return b""
        if "end" in content:
            self.usage, self.done = Usage(output=content["end"]), True
        else:
            self.token_events += 1
            self.text += content["piece"]
        return _line(content)


class SilentLineStream(LineStream):
    """The same for a plain answer: nothing goes to the client before it is whole."""

    def feed(self, data: bytes) -> bytes:
        super().feed(data)
        return b""


class WholeScanner:
    """Finds the tokens at the end of a large answer."""

    def __init__(self) -> None:
        self.complete = False
        self.usage: Usage | None = None
        self._end = b""

    def feed(self, data: bytes) -> None:
        self._end = (self._end + data)[-40:]
        self.complete = self._end.endswith(b"}")
        if self.complete:
            self.usage = Usage(output=int(self._end[:-1].rpartition(b":")[2]))


class LineDialect:
    """Keys in a header of their own, `live` for streams, lines for events, `{"problem": …}` for errors."""

    plain_headers: Headers = ((b"content-type", b"application/x-line"),)
    stream_headers: Headers = ((b"content-type", b"application/x-lines"),)

    def credentials(self, header: Callable[[bytes], bytes | None]) -> bytes:
        if (key := header(b"x-line-key")) is None:
            raise Unauthorized("No x-line-key.", code="missing_api_key")
        return key

    def parse(self, endpoint: Endpoint, body: bytes) -> InferenceRequest:
        fields = json.loads(body)
        if "who" not in fields:
            raise InvalidRequest("'who' is missing.", param="who")
        return InferenceRequest(endpoint, fields["who"], stream=fields.get("live", False), usage_wanted=True, body=body)

    def to_engine(self, request: InferenceRequest, *, as_stream: bool) -> bytes:
        return json.dumps({"for": request.model, "events": as_stream or request.stream}).encode()

    def stream(self, _: InferenceRequest) -> LineStream:
        return LineStream()

    def aggregator(self, _: InferenceRequest) -> SilentLineStream:
        return SilentLineStream()

    def parse_answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        content = json.loads(body)
        return _line({"printed": content["text"]}), Usage(output=content["tokens"])

    def usage_scanner(self) -> WholeScanner:
        return WholeScanner()

    def engine_error(self, status: int, body: bytes, *, retry_after: int | None) -> GatewayError:
        return EngineRejected(f"{body.decode()} ({retry_after})", status=status)

    def error_in(self, body: bytes) -> GatewayError | None:
        return InvalidRequest(body.decode()) if body.startswith(b"no") else None

    def error_body(self, error: GatewayError) -> bytes:
        return json.dumps({"problem": error.message}).encode()

    def error_event(self, error: GatewayError) -> bytes:
        return _line({"problem": error.message})


@pytest.fixture(autouse=True)
def line_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a package of a new dialect would be registered with."""
    documentation = Documentation("An echo", {"who": {"type": "string"}}, ("who",), {"who": "mock"})
    endpoint = Endpoint(PATH, b"/engine/echo", LineDialect(), streams=True, documentation=documentation)
    monkeypatch.setattr("gateway.app.ENDPOINTS", {**ENDPOINTS, PATH: endpoint})


def _headers() -> dict[str, str]:
    return {"x-line-key": KEY, "authorization": ""}


async def _engine(wire: Wire, body: bytes) -> None:
    if json.loads(body)["events"]:
        events = [{"piece": "a"}, {"piece": "b"}, {"end": 2}]
        await wire.send(EVENT_STREAM + b"".join(chunk(event(each)) for each in events) + chunk(b""))
    else:
        await wire.send(plain(b'{"text":"ab","tokens":2}'))


@pytest.mark.parametrize("kind", ["vllm", "llamacpp"])
async def test_a_plain_answer_and_a_stream(serve: Serve, kind: str) -> None:
    async with raw_engine(_engine, kind=kind) as engine:
        gateway = await serve(engine)
        answer = await gateway.post(PATH, headers=_headers(), who="mock")
        assert (answer.status_code, answer.json()) == (200, {"printed": "ab"})
        assert answer.headers["content-type"] == "application/x-line"
        assert answer.headers["content-length"] == str(len(answer.content))
        answer = await gateway.post(PATH, headers=_headers(), who="mock", live=True)
        assert answer.headers["content-type"] == "application/x-lines"
        assert answer.text.splitlines() == ['{"piece": "a"}', '{"piece": "b"}', '{"end": 2}']
        await gateway.settled(2)
        assert nonzero_samples(gateway.metrics.tokens) == {("mock", "output"): 4}
        assert nonzero_samples(gateway.metrics.requests) == {
            (PATH, "mock", "false", "ok", "200"): 1,
            (PATH, "mock", "true", "ok", "200"): 1,
        }
        assert nonzero_samples(gateway.metrics.time_to_first_token) == {("mock",): 1}
    assert [head.split(b" ")[1] for head in engine.heads] == [b"/engine/echo"] * 2
    aggregated = kind == "llamacpp"
    assert [json.loads(body) for body in engine.bodies] == [
        {"for": "mock", "events": aggregated},
        {"for": "mock", "events": True},
    ]


async def test_an_answer_that_is_too_large_to_be_held(serve: Serve) -> None:
    body = b'{"text":"%b","tokens":3}' % (b"x" * (PLAIN_BUFFER + 1))

    async def large(wire: Wire, _: bytes) -> None:
        await wire.send(plain(body))

    async with raw_engine(large) as engine:
        gateway = await serve(engine)
        answer = await gateway.post(PATH, headers=_headers(), who="mock")
        assert (answer.status_code, answer.content) == (200, body)
        await gateway.settled(1)
        assert nonzero_samples(gateway.metrics.tokens) == {("mock", "output"): 3}


async def test_errors_have_its_own_shape(serve: Serve) -> None:
    async def engine_refuses(wire: Wire, _: bytes) -> None:
        await wire.send(plain(b"too odd", status="422 Unprocessable", extra="retry-after: 7\r\n"))

    async with raw_engine(engine_refuses) as engine:
        gateway = await serve(engine)
        for headers, fields, status, problem in (
            ({}, {"who": "mock"}, 401, "No x-line-key."),
            (_headers(), {}, 400, "'who' is missing."),
            (_headers(), {"who": "other"}, 404, "This model is not served here. There is: mock."),
            (_headers(), {"who": "mock"}, 422, "too odd (7)"),
        ):
            answer = await gateway.post(PATH, headers=headers, **fields)
            assert (answer.status_code, answer.json()) == (status, {"problem": problem})
            assert answer.headers["content-type"] == "application/x-line"
        await gateway.settled(4)
        assert nonzero_samples(gateway.metrics.auth_failures) == {("missing_api_key",): 1}
        assert "error" in (await gateway.http.get("/nowhere")).json(), "elsewhere errors have OpenAI's shape"


async def test_a_stream_that_breaks_ends_in_its_own_way(serve: Serve) -> None:
    async def breaks(wire: Wire, _: bytes) -> None:
        await wire.send(EVENT_STREAM + chunk(event({"piece": "a"})) + chunk(event({"broken": "half of it"})))

    async with raw_engine(breaks) as engine:
        gateway = await serve(engine)
        answer = await gateway.post(PATH, headers=_headers(), who="mock", live=True)
        assert answer.text.splitlines() == ['{"piece": "a"}', '{"problem": "half of it"}']
        await gateway.ended("stream_error", 200, stream=True, path=PATH)


async def test_something_else_than_a_stream(serve: Serve) -> None:
    async def says_no(wire: Wire, _: bytes) -> None:
        await wire.send(plain(b"no"))

    async with raw_engine(says_no) as engine:
        gateway = await serve(engine)
        answer = await gateway.post(PATH, headers=_headers(), who="mock", live=True)
        assert (answer.status_code, answer.json()) == (400, {"problem": "no"})


async def test_it_is_documented(serve: Serve) -> None:
    async with raw_engine(_engine) as engine:
        gateway = await serve(engine)
        operation = (await gateway.http.get("/openapi.json")).json()["paths"][PATH]["post"]
    assert operation["summary"] == "An echo"
    assert operation["requestBody"]["content"]["application/json"]["schema"]["required"] == ["who"]
