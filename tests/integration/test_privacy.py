"""The content of requests is in no log and no metric, whatever their outcome."""

import json
import secrets
from typing import Any

import httpx
import pytest
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.http.connection import RawConnection, send_request
from tests.support.http.message import encode_request
from tests.support.mock import Mock
from tests.support.program import HOST, until
from tests.support.services import Services

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


@pytest.fixture(scope="module")
def verbose_gateway(engine: Engine, module_services: Services) -> Gateway:
    """A gateway with its most verbose log."""
    return module_services.gateway(engine, LOG_LEVEL="debug")


def chat(content: Any, model: str = DEMO, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 8, **fields}


def disconnect(gateway: Gateway, body: dict[str, Any], *, late: bool) -> None:
    with RawConnection(gateway.port) as raw:
        raw.send(encode_request(CHAT, body, key=gateway.key))
        if late:
            raw.read_until(b"data: ")
        raw.reset()


def all_outputs(gateway: Gateway, engine: Engine | None) -> dict[str, str]:
    """Every log and every metric of every service."""
    outputs = {"the gateway's log": gateway.program.text(), "the gateway's metrics": gateway.exposition()}
    with gateway.http as http:
        outputs["the gateway's status"] = http.get("/models/status").text
    if engine is not None:
        outputs["the launcher's log"] = engine.program.text()
        status = f"http://{HOST}:{engine.status_port}"
        outputs["the launcher's status"] = httpx.get(f"{status}/status", trust_env=False).text
        outputs["the launcher's metrics"] = httpx.get(f"{status}/metrics", trust_env=False).text
        with engine.http as direct:
            outputs["the engine's metrics"] = direct.get("/metrics").text
    return outputs


def assert_absent(canary: str, gateway: Gateway, engine: Engine | None = None) -> None:
    gateway.scrape_when_idle()
    found = [where for where, text in all_outputs(gateway, engine).items() if canary in text]
    assert found == []


def test_content_of_requests_is_in_no_log_and_no_metric(verbose_gateway: Gateway, engine: Engine) -> None:
    canary = f"canary{secrets.token_hex(6)}"
    long_text = f"{canary} " * engine.context()
    plain: list[tuple[str, Any, set[int]]] = [
        (CHAT, chat(canary), {200}),
        (CHAT, chat(canary, stream=True), {200}),
        (CHAT, chat(canary, user=canary, metadata={"a": canary}), {200}),
        (COMPLETIONS, {"model": DEMO, "prompt": canary, "max_tokens": 4}, {200}),
        (EMBEDDINGS, {"model": DEMO, "input": canary}, {200, 400, 404}),
        (CHAT, chat(long_text), {400}),
        (CHAT, chat(long_text, stream=True), {400}),
        (CHAT, chat({"a": canary}), {400}),
        (CHAT, chat([{"type": canary}]), {400}),
        (CHAT, chat("x", temperature=canary), {400}),
        (CHAT, chat("x", stop={"a": canary}), {200, 400}),
        (CHAT, chat("x", response_format={"type": "json_schema", "json_schema": {"schema": {"type": canary}}}), {400}),
        (CHAT, chat("x", tools=[{"type": canary}]), {200, 400, 502}),
        (CHAT, chat("x", model=canary), {404}),
        (CHAT, chat("x", n=canary), {400}),
        (CHAT, json.dumps(chat(canary)).encode()[:-3], {400}),
        (CHAT, b"\xff" + canary.encode(), {400}),
        (f"/v1/{canary}", chat("x"), {404}),
        (f"/v1/models/{canary}", None, {404, 405}),
        (f"{CHAT}?q={canary}", chat("x"), {200}),
    ]
    for path, body, expected in plain:
        response = send_request(verbose_gateway.port, path, body, key=verbose_gateway.key)
        assert response.status in expected, (path, body if len(str(body)) < 500 else "…", response.body[:500])
    for late in (False, True):
        disconnect(verbose_gateway, chat(canary, stream=True, max_tokens=900, ignore_eos=True), late=late)
    disconnect(verbose_gateway, chat(canary, max_tokens=900, ignore_eos=True), late=False)
    send_request(verbose_gateway.port, CHAT, chat("x"), key=canary)
    assert_absent(canary, verbose_gateway, engine)


def test_keys_are_in_no_log_and_no_metric(verbose_gateway: Gateway, engine: Engine) -> None:
    assert send_request(verbose_gateway.port, CHAT, chat("x"), key=verbose_gateway.key).status == 200
    assert_absent(verbose_gateway.key, verbose_gateway, engine)
    assert_absent(engine.key_file.read_text("ascii"), verbose_gateway, engine)


@pytest.mark.parametrize(
    "fault", ["status:500", "reset", "html", "garbage", "break:2", "error_event:1", "end_without_done:1", "truncated"]
)
def test_content_of_requests_is_in_no_log_when_the_engine_fails(services: Services, fault: str) -> None:
    mock: Mock = services.mock()
    gateway = services.gateway(mock, LOG_LEVEL="debug")
    canary = f"canary{secrets.token_hex(6)}"
    for stream in (False, True):
        send_request(
            gateway.port, CHAT, chat(canary, model="mock", stream=stream, mock={"fault": fault}), key=gateway.key
        )
    until(lambda: len(gateway.lines(event="request", route=CHAT)) == 2, 5, "both are in the log")
    assert_absent(canary, gateway)
