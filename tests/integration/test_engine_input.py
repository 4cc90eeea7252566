"""Invalid input that only an engine can detect: the client gets the same kind of error from every engine."""

from typing import Any

import pytest
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.http.connection import send_request
from tests.support.http.message import Response
from tests.support.samples import risen

pytestmark = pytest.mark.parametrize("gateway", [1], indirect=True, ids=["1w"])

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def chat(content: Any = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": DEMO, "messages": [{"role": "user", "content": content}], "max_tokens": 4, **fields}


def refused(response: Response, *, param: str | None = None) -> str:
    """Checks a refusal with 400; returns its message. Engines name a field in `param` or in the message."""
    error = response.error
    assert response.status == 400, error
    assert error["type"] == "invalid_request_error"
    assert response.headers["content-type"] == "application/json"
    assert param is None or param in f"{error['param']} {error['message']}"
    return str(error["message"])


@STREAMED
def test_a_prompt_over_the_context(gateway: Gateway, engine: Engine, stream: bool) -> None:
    before = gateway.scrape_when_idle()
    words = "glass house " * engine.context()
    for path, body in ((CHAT, chat(words)), (COMPLETIONS, {"model": DEMO, "prompt": words, "max_tokens": 4})):
        response = send_request(gateway.port, path, {**body, "stream": stream}, key=gateway.key)
        assert str(engine.context()) in refused(response)
        assert response.error["code"] == "context_length_exceeded"
    assert gateway.is_ready()
    after = gateway.scrape_when_idle()
    assert (
        risen(
            before.by("gateway_requests_total", "outcome", "code"),
            after.by("gateway_requests_total", "outcome", "code"),
        ).get(("client_error", "400"))
        == 2
    )
    assert after.total("gateway_engine_ejections_total") == before.total("gateway_engine_ejections_total")


def test_a_long_prompt_within_the_context(gateway: Gateway, engine: Engine) -> None:
    words = "a " * (engine.context() // 4)
    response = send_request(gateway.port, CHAT, chat(words), key=gateway.key)
    assert response.status == 200


@STREAMED
@pytest.mark.parametrize(
    ("field", "value"),
    [("temperature", "hot"), ("top_p", "most"), ("seed", "x"), ("frequency_penalty", [])],
)  # fmt: skip
def test_a_wrong_type_is_named(gateway: Gateway, stream: bool, field: str, value: Any) -> None:
    refused(send_request(gateway.port, CHAT, chat(stream=stream, **{field: value}), key=gateway.key), param=field)


@STREAMED
@pytest.mark.parametrize("content", [3, {"a": 1}, [3], [{"type": "made_up"}]], ids=str)
def test_content_of_the_wrong_type(gateway: Gateway, stream: bool, content: Any) -> None:
    refused(send_request(gateway.port, CHAT, chat(content, stream=stream), key=gateway.key))


def test_an_invalid_grammar(gateway: Gateway) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "made_up"}}}
    refused(send_request(gateway.port, CHAT, chat(response_format=wanted), key=gateway.key))


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
# Each is invalid; llama.cpp responds to every one of them with 500.
FAULTS: dict[str, dict[str, Any]] = {
    "an image for a text model": chat([{"type": "text", "text": "what is this?"}, IMAGE]),
    "audio for a text model": chat([AUDIO]),
    "a message without a role": {"model": DEMO, "messages": [{"content": "x"}]},
    "a role that is a number": {"model": DEMO, "messages": [{"role": 5, "content": "x"}]},
    "tools that are text": chat(tools="x"),
    "tools that are an object": chat(tools={"a": 1}),
    "a tool that is a number": chat(tools=[1]),
    "a tool without a function": chat(tools=[{"type": "function"}]),
    "a tool without a name": chat(tools=[{"type": "function", "function": {}}]),
    "a tool whose name is a number": chat(tools=[{"type": "function", "function": {"name": 5}}]),
}


@STREAMED
@pytest.mark.parametrize("fault", FAULTS)
def test_an_invalid_request_is_a_400_and_no_failure_of_the_engine(
    gateway: Gateway, engine: Engine, fault: str, stream: bool
) -> None:
    before = gateway.scrape_when_idle()
    response = send_request(gateway.port, CHAT, {**FAULTS[fault], "stream": stream}, key=gateway.key)
    refused(response)
    assert response.headers["x-should-retry"] == "false"
    results = risen(
        before.by("gateway_engine_requests_total", "engine", "result"),
        gateway.scrape_when_idle().by("gateway_engine_requests_total", "engine", "result"),
    )
    assert results == {(engine.name, "rejected"): 1}


def test_invalid_requests_do_not_eject_the_engine(gateway: Gateway, engine: Engine) -> None:
    for _ in range(8):
        send_request(gateway.port, CHAT, chat({"a": 1}), key=gateway.key)
    assert send_request(gateway.port, CHAT, chat(), key=gateway.key).status == 200
    assert gateway.scrape().total("gateway_engine_ejections_total", engine=engine.name) == 0
