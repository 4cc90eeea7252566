"""Streams as a raw connection sees them: token by token, framed correctly, and unchanged."""

import itertools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.corpus import longest
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.http.connection import RawConnection
from tests.support.http.message import Read, Response, encode_request
from tests.support.mock import Mock, chat
from tests.support.program import until
from tests.support.services import Services

CHAT = "/v1/chat/completions"
TOKENS, INTERVAL_S = 40, 0.05
TRIES = 5


@pytest.fixture(scope="module")
def mock(module_services: Services) -> Mock:
    return module_services.mock()


@pytest.fixture(scope="module", params=[1, 2, 4], ids=lambda workers: f"{workers}w")
def mock_gateway(request: pytest.FixtureRequest, module_services: Services, mock: Mock) -> Gateway:
    return module_services.gateway(mock, workers=request.param, SEND_TIMEOUT="2")


def long_chat(tokens: int = 1200, **fields: Any) -> dict[str, Any]:
    """A chat with which an engine continues until it has generated this many tokens."""
    return {
        "model": DEMO, "messages": [{"role": "user", "content": longest("en").text}], "temperature": 0,
        "max_tokens": tokens, "ignore_eos": True, "stream": True, **fields,
    }  # fmt: skip


def streamed(gateway: Gateway, body: Any, headers: dict[str, str] | None = None) -> tuple[float, Response]:
    """A stream, and the time at which its request was sent."""
    with RawConnection(gateway.port) as raw:
        sent = time.monotonic()
        return sent, raw.send(encode_request(CHAT, body, key=gateway.key, headers=headers)).read_response()


def intervals(reads: list[Read]) -> list[float]:
    return [after.at - before.at for before, after in itertools.pairwise(reads)]


@pytest.mark.timing
def test_tokens_arrive_at_the_pace_of_the_engine(mock_gateway: Gateway, measured: Callable[[str], None]) -> None:
    sent, response = streamed(mock_gateway, chat(stream=True, mock={"tokens": TOKENS, "interval_s": INTERVAL_S}))
    assert len(response.reads) >= TOKENS * 0.9
    between = intervals(response.reads)
    assert statistics.median(between) == pytest.approx(INTERVAL_S, rel=0.5)
    first, last = response.reads[0].at - sent, response.reads[-1].at - sent
    assert first < 0.5 * TOKENS * INTERVAL_S
    assert last > 0.9 * TOKENS * INTERVAL_S
    measured(
        f"stream of {TOKENS} tokens every {INTERVAL_S * 1000:g} ms, {mock_gateway.workers} workers: "
        f"{len(response.reads)} reads, first after {first * 1000:.0f} ms, last after {last * 1000:.0f} ms, "
        f"gaps p50 {statistics.median(between) * 1000:.1f} ms, max {max(between) * 1000:.1f} ms"
    )


def test_the_head_and_the_framing_of_a_stream(mock_gateway: Gateway) -> None:
    _, response = streamed(mock_gateway, chat(stream=True), {"x-request-id": "my-id"})
    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.headers["x-request-id"] == "my-id"
    assert "content-length" not in response.headers
    assert "content-encoding" not in response.headers
    assert response.body.endswith(b"data: [DONE]\n\n")
    assert response.event_data.count(b"[DONE]") == 1
    assert all(json.loads(event)["object"] == "chat.completion.chunk" for event in response.event_data[:-1])


def test_a_connection_serves_one_stream_after_another(mock_gateway: Gateway) -> None:
    with RawConnection(mock_gateway.port) as raw:
        for _ in range(3):
            raw.reads.clear()
            response = raw.send(encode_request(CHAT, chat(stream=True), key=mock_gateway.key)).read_response()
            assert response.event_data[-1] == b"[DONE]"
            raw.reads.clear()
            assert raw.send(encode_request(CHAT, chat(), key=mock_gateway.key)).read_response().status == 200


def test_events_that_arrive_in_pieces_are_relayed_whole(mock_gateway: Gateway) -> None:
    _, response = streamed(
        mock_gateway, chat(stream=True, mock={"fault": "slow_body", "tokens": 3, "interval_s": 0.002})
    )
    contents = [json.loads(event)["choices"][0]["delta"].get("content") for event in response.event_data[:-1]]
    assert contents == ["", " w000", " w001", " w002"]
    bodies = [read.data for read in response.reads[1:]]
    assert all(b"data: " in body for body in bodies if body != b"0\r\n\r\n")


@pytest.mark.parametrize("mock_gateway", [1], indirect=True, ids=["1w"])
def test_a_client_that_does_not_read_costs_no_memory_and_is_dropped(mock_gateway: Gateway, mock: Mock) -> None:
    def resident_mb() -> float:
        (worker,) = mock_gateway.program.children()
        with open(f"/proc/{worker}/statm", encoding="ascii") as statm:  # noqa: PTH123 - not a file to speak of
            return int(statm.read().split()[1]) * 4096 / 1e6

    before, cancelled = resident_mb(), mock_gateway.scrape_when_idle().total("gateway_cancellations_total")
    with RawConnection(mock_gateway.port) as raw:
        raw.send(encode_request(CHAT, chat(stream=True, mock={"tokens": 500_000}), key=mock_gateway.key))
        raw.read_until(b" w000")
        until(lambda: mock.stats()["running"] == 0, 10, "the engine is freed from a client that does not read", 0.1)
    assert mock_gateway.scrape_when_idle().total("gateway_cancellations_total") == cancelled + 1
    assert resident_mb() - before < 20


@pytest.mark.timing
def test_real_tokens_arrive_while_the_engine_generates(
    gateway: Gateway, engine: Engine, measured: Callable[[str], None]
) -> None:
    # vLLM itself, on few cores, sends some streams in bursts; a gateway that buffered would do so every time.
    for _ in range(TRIES):
        sent, response = streamed(gateway, long_chat())
        assert response.event_data[-1] == b"[DONE]"
        first, last = response.reads[0].at - sent, response.reads[-1].at - sent
        between = intervals(response.reads)
        if smooth := len(response.reads) > 50 and first < 0.4 * last and max(between) < 0.5 * (last - first):
            break
    measured(
        f"stream of 1200 tokens from {engine.name}, {gateway.workers} workers: {len(response.reads)} reads, "
        f"first after {first * 1000:.0f} ms, last after {last * 1000:.0f} ms, "
        f"gaps p50 {statistics.median(between) * 1000:.1f} ms, max {max(between) * 1000:.1f} ms"
    )
    assert smooth


@pytest.mark.parametrize("gateway", [1], indirect=True, ids=["1w"])
def test_events_are_those_of_the_engine(gateway: Gateway, engine: Engine) -> None:
    body = long_chat(60, stream_options={"include_usage": True})
    _, relayed = streamed(gateway, body)
    with engine.http as http:
        direct = http.post(CHAT, json=body).content
    own = [event.removeprefix(b"data: ") for event in direct.split(b"\n\n") if event.startswith(b"data: ")]
    assert comparable(relayed.event_data) == comparable(own)


def comparable(events: list[bytes]) -> list[Any]:
    """The reproducible part of a stream: vLLM joins tokens that are ready together."""
    kept: list[Any] = []
    for event in events:
        content = event.decode() if event == b"[DONE]" else json.loads(event)
        if isinstance(content, dict):
            content = {name: value for name, value in content.items() if name not in {"id", "created", "timings"}}
            (content.get("usage") or {}).pop("prompt_tokens_details", None)  # the contents of the prefix cache differ
            if kept and is_text(content) and is_text(kept[-1]):
                kept[-1]["choices"][0]["delta"]["content"] += content["choices"][0]["delta"]["content"]
                continue
        kept.append(content)
    return kept


def is_text(event: dict[str, Any]) -> bool:
    """Whether it contains nothing but text."""
    choices = event.get("choices") or [{}]
    return list(choices[0].get("delta") or {}) == ["content"] and choices[0].get("finish_reason") is None
