"""Engines that die, hang, do not start or come back: what clients get meanwhile, and recovery without intervention."""

import errno
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.support.engine import DEMO, GGUF, Engine
from tests.support.gateway import Gateway
from tests.support.http.connection import RawConnection, send_request
from tests.support.http.message import Response, encode_request
from tests.support.mock import Mock, chat, start_mock
from tests.support.program import HOST, free_port, frozen, until
from tests.support.services import Services

CHAT = "/v1/chat/completions"


def demo(**fields: Any) -> dict[str, Any]:
    return {"model": DEMO, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, **fields}


def unavailable(response: Response, *fragments: str, code: str = "no_engine_ready") -> None:
    """Checks a 503: its reason, and when to retry."""
    error = response.error
    assert (response.status, error["code"], error["type"]) == (503, code, "service_unavailable"), error
    assert int(response.headers["retry-after"]) > 0
    for fragment in fragments:
        assert fragment in error["message"]


def health(gateway: Gateway) -> dict[str, int]:
    return {
        path: send_request(gateway.port, path, method="GET").status
        for path in ("/livez", "/readyz", "/healthz", "/health")
    }


def status(gateway: Gateway, engine: str) -> dict[str, Any]:
    with gateway.http as http:
        found: dict[str, Any] = http.get("/models/status").json()["engines"][engine]
    return found


def refuses(port: int) -> bool:
    """Whether nothing listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == errno.ECONNREFUSED


READY = {"/livez": 200, "/readyz": 200, "/healthz": 200, "/health": 200}
NOT_READY = {"/livez": 200, "/readyz": 503, "/healthz": 503, "/health": 503}


def test_a_killed_engine_is_unavailable_at_once_and_ready_again_after_its_restart(services: Services) -> None:
    engine = services.llamacpp()
    gateway = services.gateway(engine)
    assert health(gateway) == READY
    assert status(gateway, "llamacpp")["state"] == "ready"

    with RawConnection(gateway.port) as raw:
        raw.send(encode_request(CHAT, demo(stream=True, max_tokens=1500, ignore_eos=True), key=gateway.key))
        raw.read_until_first_token()
        os.kill(engine.engine_pid(), signal.SIGKILL)
        broken = raw.read_response()
    assert broken.status == 200
    assert json.loads(broken.event_data[-1])["error"]["code"] in {"engine_reset", "engine_broken"}
    assert b"[DONE]" not in broken.body

    # Its sockets close one after the other: for a moment the port still accepts a connection, and resets it.
    until(lambda: refuses(engine.port), 5, "the port of the dead engine is closed", 0.001)
    # Until the launcher has restarted it, it is unavailable, and every endpoint reports that.
    unavailable(send_request(gateway.port, CHAT, demo(), key=gateway.key), "llamacpp is ")
    assert health(gateway) == NOT_READY
    engine_status = status(gateway, "llamacpp")
    assert engine_status["state"] in {"down", "failed", "starting"}
    assert engine_status["reason"]
    assert engine_status["models"] == [DEMO]

    until(lambda: health(gateway) == READY, 20, "it serves again", 0.1)
    assert send_request(gateway.port, CHAT, demo(), key=gateway.key).status == 200
    assert status(gateway, "llamacpp")["state"] == "ready"
    states = [line["state"] for line in gateway.lines(event="engine")]
    assert states[0] == states[-1] == "ready"
    (line,) = gateway.lines(event="request", outcome="stream_error")
    assert (line["engine"], line["status"]) == ("llamacpp", 200)


def test_requests_are_retried_when_one_of_two_engines_dies_before_the_first_byte(services: Services) -> None:
    first, second = services.llamacpp(name="one"), services.llamacpp(name="other")
    gateway = services.gateway(first, second)
    pid = first.engine_pid()
    # Stopped, it accepts requests and responds to none: so the kill comes before the first byte.
    with frozen(pid), ThreadPoolExecutor(8) as pool:
        responses = [
            pool.submit(send_request, gateway.port, CHAT, demo(stream=i % 2 == 0), key=gateway.key) for i in range(8)
        ]
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        assert [response.result().status for response in responses] == [200] * 8
    assert health(gateway) == READY
    assert gateway.scrape().total("gateway_engine_retries_total", engine="one") >= 1
    until(lambda: len(gateway.lines(event="request", outcome="ok", route=CHAT)) == 8, 5, "all are in the log")
    assert {line["attempts"] for line in gateway.lines(event="request", outcome="ok", route=CHAT)} == {1, 2}
    until(lambda: status(gateway, "one")["state"] == "ready", 20, "the killed engine is ready again", 0.1)


@pytest.mark.timing
def test_an_engine_that_hangs_times_out(services: Services) -> None:
    engine = services.llamacpp()
    gateway = services.gateway(engine, TTFT_TIMEOUT="1", TOTAL_TIMEOUT="2")
    with frozen(engine.engine_pid()):
        began = time.monotonic()
        for stream in (True, False):
            response = send_request(gateway.port, CHAT, demo(stream=stream), key=gateway.key)
            assert (response.status, response.error["code"], response.error["type"]) == (
                504, "engine_timeout", "timeout_error",
            )  # fmt: skip
        assert time.monotonic() - began < 6
    until(lambda: send_request(gateway.port, CHAT, demo(), key=gateway.key).status == 200, 20, "it serves again", 0.2)


def test_without_any_engine_it_starts_and_says_why_it_cannot_serve(services: Services) -> None:
    gateway = services.gateway(f"llamacpp=http://{HOST}:{free_port()}", ready=False)
    unavailable(send_request(gateway.port, CHAT, demo(), key=gateway.key), "llamacpp is down", "refuses connections")
    assert health(gateway) == NOT_READY
    readyz = send_request(gateway.port, "/readyz", method="GET")
    assert int(readyz.headers["retry-after"]) > 0
    assert "llamacpp is down" in json.loads(readyz.body)["reason"]
    with gateway.http as http:
        assert http.get("/v1/models").json() == {"object": "list", "data": []}


@pytest.mark.timing
def test_an_engine_that_starts_later_is_found(services: Services) -> None:
    port = free_port()
    gateway = services.gateway(f"mock=http://{HOST}:{port}", ready=False)
    unavailable(send_request(gateway.port, CHAT, chat(), key=gateway.key), "mock is down")
    mock: Mock = start_mock(services.directory, port=port)
    try:
        took = until(lambda: health(gateway) == READY, 10, "the engine is found")
        assert took < 5
        assert send_request(gateway.port, CHAT, chat(), key=gateway.key).status == 200
    finally:
        mock.program.stop()


@contextmanager
def launcher(**status: Any) -> Iterator[str]:
    """A fake launcher's status port with this status; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"reason": "", "since": 0, "retry_at": None, "model": DEMO, **status}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Log nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_phase_of_a_loading_model_is_in_the_error(services: Services) -> None:
    with launcher(state="starting", phase="loading_weights") as address:
        gateway = services.gateway(f"vllm=http://{HOST}:{free_port()}+{address}", ready=False)
        response = send_request(gateway.port, CHAT, demo(), key=gateway.key)
        unavailable(response, "vllm is starting", "loading_weights", code="model_loading")
        assert health(gateway) == NOT_READY
        gateway.stop()


def test_a_draining_engine_gets_no_new_requests(services: Services) -> None:
    mock = services.mock()
    with launcher(state="draining", phase="draining", reason="a stop was asked for") as address:
        gateway = services.gateway(f"mock={mock.url}+{address}", ready=False)
        unavailable(
            send_request(gateway.port, CHAT, chat(), key=gateway.key), "mock is draining", "a stop was asked for"
        )
        gateway.stop()
    assert mock.stats()["requests"] == 0


def test_a_model_file_that_cannot_be_loaded_is_the_reason_in_the_error(services: Services) -> None:
    half = services.directory / "half.gguf"
    half.write_bytes(GGUF.read_bytes()[: GGUF.stat().st_size // 2])
    engine = services.llamacpp(expected_state="failed", LLAMACPP_MODEL=str(half), LLAMACPP_ALIAS=DEMO)
    gateway = services.gateway(engine, ready=False)
    until(lambda: status(gateway, "llamacpp")["state"] == "failed", 10, "the gateway has noticed the failure")
    unavailable(send_request(gateway.port, CHAT, demo(), key=gateway.key), "llamacpp is failed", "half.gguf")
    # With the whole file in its place it starts without intervention.
    half.write_bytes(GGUF.read_bytes())
    until(lambda: health(gateway) == READY, 20, "it serves once the file is valid", 0.1)


def test_a_stopping_engine_finishes_its_streams_and_gets_no_more_requests(services: Services) -> None:
    engine: Engine = services.llamacpp()
    gateway = services.gateway(engine)
    with RawConnection(gateway.port) as raw:
        raw.send(encode_request(CHAT, demo(stream=True, max_tokens=1500, ignore_eos=True), key=gateway.key))
        raw.read_until_first_token()
        engine.program.send(signal.SIGTERM)
        assert raw.read_response().event_data[-1] == b"[DONE]"
    assert engine.program.wait(15) == 0
    unavailable(send_request(gateway.port, CHAT, demo(), key=gateway.key), "llamacpp is ")


def test_the_engine_key_is_required(services: Services) -> None:
    engine = services.llamacpp()
    with httpx.Client(base_url=f"http://{HOST}:{engine.port}", trust_env=False) as http:
        assert http.post(CHAT, json=demo()).status_code == 401
    gateway = services.gateway(engine.address, ready=False)
    until(lambda: status(gateway, "llamacpp")["state"] == "down", 10, "the engine refuses the gateway")
    unavailable(send_request(gateway.port, CHAT, demo(), key=gateway.key), "401", "ENGINE_KEY_FILE")
