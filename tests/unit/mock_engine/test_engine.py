"""The mock engine without faults: what vLLM's clients see, and its own counters."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from tests.support.mock_client import MockClient

from mock_engine.engine import MockEngine

if TYPE_CHECKING:
    from collections.abc import Callable


def _events(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_health_is_an_empty_answer(mock: MockClient) -> None:
    response = mock.http.get("/health")
    assert (response.status_code, response.content) == (200, b"")


def test_health_can_fail(mock: MockClient) -> None:
    mock.change(health=503)
    assert mock.http.get("/health").status_code == 503


def test_models_are_cards_as_vllm_gives_them(mock: MockClient) -> None:
    mock.change(models=["base", {"id": "adapter", "parent": "base"}], max_model_len=4096)
    base, adapter = mock.http.get("/v1/models").json()["data"]
    assert (base["id"], base["owned_by"], base["parent"], base["max_model_len"]) == ("base", "vllm", None, 4096)
    assert (adapter["id"], adapter["parent"]) == ("adapter", "base")


def test_metrics_have_the_names_and_labels_of_vllm(mock: MockClient) -> None:
    mock.change(running=3, waiting=2, kv_cache_usage=0.25)
    text = mock.http.get("/metrics").text
    assert 'vllm:num_requests_running{engine="0",model_name="mock"} 3.0\n' in text
    assert 'vllm:num_requests_waiting{engine="0",model_name="mock"} 2\n' in text
    assert 'vllm:kv_cache_usage_perc{engine="0",model_name="mock"} 0.25\n' in text


def test_metrics_show_the_real_load_unless_overridden(mock: MockClient) -> None:
    with mock.connect(stream=True, mock={"fault": "hang"}):
        mock.wait_for(lambda stats: stats["running"] == 1)
        assert 'model_name="mock"} 1.0\n' in mock.http.get("/metrics").text
    mock.wait_for(lambda stats: stats["running"] == 0)


def test_counters_follow_what_was_sent_and_what_was_set(mock: MockClient) -> None:
    mock.chat(max_tokens=3)
    mock.change(preemptions=7)
    text = mock.http.get("/metrics").text
    assert 'vllm:generation_tokens_total{engine="0",model_name="mock"} 3\n' in text
    assert 'vllm:iteration_tokens_total_count{engine="0",model_name="mock"} 3\n' in text
    assert 'vllm:num_preemptions_total{engine="0",model_name="mock"} 7\n' in text


def test_plain_chat_returns_text_and_usage(mock: MockClient) -> None:
    response = mock.chat(max_tokens=3).json()
    assert response["choices"][0]["message"] == {"role": "assistant", "content": " w000 w001 w002"}
    assert response["choices"][0]["finish_reason"] == "length"
    assert response["usage"] == {"prompt_tokens": 3, "total_tokens": 6, "completion_tokens": 3}


def test_a_response_ends_by_itself_below_max_tokens(mock: MockClient) -> None:
    response = mock.chat(max_tokens=99, mock={"tokens": 2, "prompt_tokens": 50, "cached_tokens": 48}).json()
    assert response["choices"][0]["finish_reason"] == "stop"
    assert response["usage"]["prompt_tokens_details"] == {"cached_tokens": 48}
    assert response["usage"]["prompt_tokens"] == 50


def test_a_stream_has_the_role_one_event_per_token_and_done(mock: MockClient) -> None:
    response = mock.chat(max_tokens=3, stream=True)
    events = _events(response)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [event["choices"][0]["delta"]["content"] for event in events[1:]] == [" w000", " w001", " w002"]
    assert [event["choices"][0]["finish_reason"] for event in events] == [None, None, None, "length"]
    assert len({event["id"] for event in events}) == 1


def test_the_usage_chunk_comes_last_and_only_on_request(mock: MockClient) -> None:
    events = _events(mock.chat(max_tokens=3, stream=True, stream_options={"include_usage": True}))
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 3
    assert all("usage" not in event for event in _events(mock.chat(max_tokens=3, stream=True)))


def test_a_stream_without_tokens_ends(mock: MockClient) -> None:
    assert len(_events(mock.chat(stream=True, mock={"tokens": 0}))) == 1


def test_time_to_first_token_and_interval_are_kept(mock: MockClient) -> None:
    took = mock.chat(stream=True, mock={"tokens": 5, "ttft_s": 0.1, "interval_s": 0.05}).elapsed.total_seconds()
    assert took > 0.29


def test_the_openai_client_understands_every_response(mock: MockClient) -> None:
    url = f"http://127.0.0.1:{mock.port}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        assert client.completions.create(model="mock", prompt="a b", max_tokens=2).choices[0].text == " w000 w001"
        streamed = client.completions.create(model="mock", prompt="a b", max_tokens=2, stream=True)
        assert [event.choices[0].text for event in streamed] == [" w000", " w001"]
        embedded = client.embeddings.create(model="mock", input=["a b", "c"])  # asks for base64 by itself
        assert [item.embedding[1] for item in embedded.data] == [0.125, 0.125]
        assert embedded.usage.prompt_tokens == 3


def test_embeddings_are_lists_unless_base64_is_requested(mock: MockClient) -> None:
    response = mock.http.post("/v1/embeddings", json={"model": "mock", "input": "a"}).json()
    assert response["data"][0]["embedding"][:2] == [0.0, 0.125]


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": "other"}, 404, "The model `other` does not exist."),
        ({"mock": {"fault": "bogus"}}, 400, "unknown fault 'bogus'"),
        ({"mock": {"fault": "status:700"}}, 400, "unknown fault"),
        ({"mock": {"ttft_s": -1}}, 400, "mock.ttft_s"),
        ({"mock": {"tokens": "x"}}, 400, "mock.tokens"),
        ({"max_tokens": -1}, 400, "max_tokens"),
    ],
)
def test_a_wrong_request_gets_an_error_in_the_shape_of_vllm(
    mock: MockClient, fields: dict[str, Any], status: int, message: str
) -> None:
    response = mock.chat(**fields)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]
    assert response.json()["error"]["code"] == status
    assert mock.stats()["requests"] == 0


def test_invalid_json_is_rejected(mock: MockClient) -> None:
    for wrong in (b"{", b"[]", b'"text"', b'{"messages": 3}', b'{"stream_options": 3}'):
        response = mock.http.post("/v1/chat/completions", content=wrong)
        assert (response.status_code, response.json()["error"]["type"]) == (400, "BadRequestError")


def test_unknown_paths_and_methods_are_404(mock: MockClient) -> None:
    assert mock.http.get("/v1/responses").json() == {"detail": "Not Found"}
    assert mock.http.get("/v1/chat/completions").status_code == 404


def test_bytes_that_are_not_http_end_the_connection(mock: MockClient) -> None:
    with mock.connect(max_tokens=1) as connection:
        connection.send(b"\x16\x03\x01 this is TLS\r\n\r\n")
        while connection.read():
            pass
    assert b" 400 " in connection.received


def test_stats_count_requests_tokens_and_events(mock: MockClient) -> None:
    mock.chat(max_tokens=4)
    mock.chat(max_tokens=4, stream=True, stream_options={"include_usage": True})
    mock.chat(max_tokens=4, mock={"fault": "status:500"})
    stats = mock.stats()
    assert {name: stats[name] for name in ("requests", "running", "finished", "cancelled", "faulted")} == {
        "requests": 3, "running": 0, "finished": 2, "cancelled": 0, "faulted": 1,
    }  # fmt: skip
    assert (stats["tokens_sent"], stats["events_sent"]) == (8, 1 + 4 + 1 + 1)


def test_stats_show_the_last_request_as_received(mock: MockClient) -> None:
    mock.http.post(
        "/v1/chat/completions", json={"messages": [], "extra": {"kept": [1]}}, headers={"X-Request-Id": "r-1"}
    )
    stats = mock.stats()
    assert stats["last_headers"]["x-request-id"] == "r-1"
    assert stats["last_body"]["extra"] == {"kept": [1]}


def test_one_token_probes_are_counted_and_fail_separately(mock: MockClient) -> None:
    mock.change(probe_fault="status:500")
    assert mock.chat(max_tokens=1).status_code == 500
    assert mock.chat(max_tokens=2).status_code == 200
    mock.change(probe_fault=None, fault="status:503")
    assert mock.chat(max_tokens=1).status_code == 200
    assert mock.chat(max_tokens=2).status_code == 503
    stats = mock.stats()
    assert (stats["probes"]["requests"], stats["requests"]) == (2, 2)
    assert stats["last_body"]["max_tokens"] == 2


def test_a_requests_own_fault_takes_precedence(mock: MockClient) -> None:
    mock.change(fault="status:503")
    assert mock.chat(mock={"fault": "status:502"}).status_code == 502
    assert mock.chat(mock={"fault": None}).status_code == 200


@pytest.mark.parametrize(
    "patch",
    [
        {"helth": 503}, {"health": "503"}, {"fault": "bogus"}, {"models": []}, {"models": [3]}, {"owned_by": 3},
        {"path_faults": 3}, {"path_faults": {"/health": "break:1"}}, {"interval_s": True}, {"running": -1},
    ],
)  # fmt: skip
def test_an_invalid_field_changes_nothing(mock: MockClient, patch: dict[str, Any]) -> None:
    response = mock.post(tokens=3, **patch)
    assert response.status_code == 400
    assert "mock engine" in response.json()["error"]["message"]
    assert mock.chat().json()["usage"]["completion_tokens"] == 16


def test_the_control_endpoint_wants_an_object(mock: MockClient) -> None:
    assert mock.http.post("/mock", content=b"[]").status_code == 400
    assert mock.http.post("/mock", content=b"{").status_code == 400


def test_a_key_guards_v1_and_nothing_else(guarded_mock: MockClient) -> None:
    http = guarded_mock.http
    assert (http.get("/v1/models").status_code, http.get("/v1/models").json()) == (401, {"error": "Unauthorized"})
    assert http.get("/health").status_code == 200
    allowed = http.get("/v1/models", headers={"authorization": "Bearer made-up"}).json()["data"]
    assert [(card["id"], card["owned_by"]) for card in allowed] == [("a", "llamacpp"), ("b", "llamacpp")]
    metrics = http.get("/metrics").text
    assert "llamacpp:requests_processing 0\n" in metrics
    assert "vllm:" not in metrics


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("not within 5 s")


async def test_it_serves_in_the_event_loop_of_a_test_too() -> None:
    async with MockEngine(models=["m"]) as engine, httpx.AsyncClient(base_url=engine.url, trust_env=False) as client:
        response = await client.post("/v1/chat/completions", json={"messages": [], "max_tokens": 2})
        assert response.json()["model"] == "m"
        assert engine.stats.work.finished == 1
        hanging = asyncio.create_task(client.post("/v1/chat/completions", json={"mock": {"fault": "hang"}}))
        await _until(lambda: engine.stats.work.running == 1)
        hanging.cancel()
        await _until(lambda: engine.stats.work.running == 0)
        assert engine.stats.work.cancelled == 1


async def test_leaving_the_context_aborts_running_requests() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        async with MockEngine() as engine:
            url = f"{engine.url}/v1/chat/completions"
            hanging = asyncio.create_task(client.post(url, json={"mock": {"fault": "hang"}}))
            await _until(lambda: engine.stats.work.running == 1)
        with pytest.raises(httpx.TransportError):
            await hanging
