"""The mock engine when it works: what vLLM's clients see, and what it tells of itself."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from mock_engine.engine import MockEngine

if TYPE_CHECKING:
    from collections.abc import Callable


def _events(answer: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_health_is_an_empty_answer(mock: Any) -> None:
    answer = mock.http.get("/health")
    assert (answer.status_code, answer.content) == (200, b"")


def test_health_can_be_told_to_fail(mock: Any) -> None:
    mock.change(health=503)
    assert mock.http.get("/health").status_code == 503


def test_models_are_cards_as_vllm_gives_them(mock: Any) -> None:
    mock.change(models=["base", {"id": "adapter", "parent": "base"}], max_model_len=4096)
    base, adapter = mock.http.get("/v1/models").json()["data"]
    assert (base["id"], base["owned_by"], base["parent"], base["max_model_len"]) == ("base", "vllm", None, 4096)
    assert (adapter["id"], adapter["parent"]) == ("adapter", "base")


def test_metrics_have_the_names_and_labels_of_vllm(mock: Any) -> None:
    mock.change(running=3, waiting=2, kv_cache_usage=0.25)
    text = mock.http.get("/metrics").text
    assert 'vllm:num_requests_running{engine="0",model_name="mock"} 3.0\n' in text
    assert 'vllm:num_requests_waiting{engine="0",model_name="mock"} 2\n' in text
    assert 'vllm:kv_cache_usage_perc{engine="0",model_name="mock"} 0.25\n' in text


def test_metrics_tell_the_truth_unless_told_otherwise(mock: Any) -> None:
    with mock.connect(stream=True, mock={"fault": "hang"}):
        mock.wait_for(lambda truth: truth["running"] == 1)
        assert 'model_name="mock"} 1.0\n' in mock.http.get("/metrics").text
    mock.wait_for(lambda truth: truth["running"] == 0)


def test_its_counters_go_by_what_it_has_sent_and_by_what_it_is_told(mock: Any) -> None:
    mock.chat(max_tokens=3)
    mock.change(preemptions=7)
    text = mock.http.get("/metrics").text
    assert 'vllm:generation_tokens_total{engine="0",model_name="mock"} 3\n' in text
    assert 'vllm:iteration_tokens_total_count{engine="0",model_name="mock"} 3\n' in text
    assert 'vllm:num_preemptions_total{engine="0",model_name="mock"} 7\n' in text


def test_plain_chat_answers_text_and_usage(mock: Any) -> None:
    answer = mock.chat(max_tokens=3).json()
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": " w000 w001 w002"}
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 6, "completion_tokens": 3}


def test_an_answer_ends_by_itself_below_max_tokens(mock: Any) -> None:
    answer = mock.chat(max_tokens=99, mock={"tokens": 2, "prompt_tokens": 50, "cached_tokens": 48}).json()
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 48}
    assert answer["usage"]["prompt_tokens"] == 50


def test_stream_has_a_role_a_token_an_event_and_done(mock: Any) -> None:
    answer = mock.chat(max_tokens=3, stream=True)
    events = _events(answer)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [event["choices"][0]["delta"]["content"] for event in events[1:]] == [" w000", " w001", " w002"]
    assert [event["choices"][0]["finish_reason"] for event in events] == [None, None, None, "length"]
    assert len({event["id"] for event in events}) == 1


def test_usage_chunk_comes_last_and_only_when_asked_for(mock: Any) -> None:
    events = _events(mock.chat(max_tokens=3, stream=True, stream_options={"include_usage": True}))
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 3
    assert all("usage" not in event for event in _events(mock.chat(max_tokens=3, stream=True)))


def test_a_stream_of_nothing_still_ends(mock: Any) -> None:
    assert len(_events(mock.chat(stream=True, mock={"tokens": 0}))) == 1


def test_time_to_first_token_and_interval_are_kept(mock: Any) -> None:
    took = mock.chat(stream=True, mock={"tokens": 5, "ttft_s": 0.1, "interval_s": 0.05}).elapsed.total_seconds()
    assert 0.29 < took < 2


def test_openai_client_understands_everything(mock: Any) -> None:
    url = f"http://127.0.0.1:{mock.port}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        assert client.completions.create(model="mock", prompt="a b", max_tokens=2).choices[0].text == " w000 w001"
        streamed = client.completions.create(model="mock", prompt="a b", max_tokens=2, stream=True)
        assert [event.choices[0].text for event in streamed] == [" w000", " w001"]
        embedded = client.embeddings.create(model="mock", input=["a b", "c"])  # asks for base64 by itself
        assert [one.embedding[1] for one in embedded.data] == [0.125, 0.125]
        assert embedded.usage.prompt_tokens == 3


def test_embeddings_are_lists_unless_base64_is_asked_for(mock: Any) -> None:
    answer = mock.http.post("/v1/embeddings", json={"model": "mock", "input": "a"}).json()
    assert answer["data"][0]["embedding"][:2] == [0.0, 0.125]


@pytest.mark.parametrize(
    ("fields", "status", "said"),
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
    mock: Any, fields: dict[str, Any], status: int, said: str
) -> None:
    answer = mock.chat(**fields)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
    assert answer.json()["error"]["code"] == status
    assert mock.truth()["requests"] == 0


def test_what_is_no_json_is_refused(mock: Any) -> None:
    for wrong in (b"{", b"[]", b'"text"', b'{"messages": 3}', b'{"stream_options": 3}'):
        assert mock.http.post("/v1/chat/completions", content=wrong).status_code == 400


def test_unknown_pages_and_methods_are_404(mock: Any) -> None:
    assert mock.http.get("/v1/responses").json() == {"detail": "Not Found"}
    assert mock.http.get("/v1/chat/completions").status_code == 404


def test_what_is_no_http_ends_the_connection(mock: Any) -> None:
    with mock.connect(max_tokens=1) as connection:
        connection.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b" 400 " in received


def test_truth_counts_requests_tokens_and_events(mock: Any) -> None:
    mock.chat(max_tokens=4)
    mock.chat(max_tokens=4, stream=True, stream_options={"include_usage": True})
    mock.chat(max_tokens=4, mock={"fault": "status:500"})
    truth = mock.truth()
    assert {name: truth[name] for name in ("requests", "running", "finished", "cancelled", "faulted")} == {
        "requests": 3, "running": 0, "finished": 2, "cancelled": 0, "faulted": 1,
    }  # fmt: skip
    assert (truth["tokens_sent"], truth["events_sent"]) == (8, 1 + 4 + 1 + 1)


def test_truth_shows_the_last_request_as_it_came(mock: Any) -> None:
    mock.http.post(
        "/v1/chat/completions", json={"messages": [], "extra": {"kept": [1]}}, headers={"X-Request-Id": "r-1"}
    )
    truth = mock.truth()
    assert truth["last_headers"]["x-request-id"] == "r-1"
    assert truth["last_body"]["extra"] == {"kept": [1]}


def test_one_token_probes_are_counted_apart_and_fail_apart(mock: Any) -> None:
    mock.change(probe_fault="status:500")
    assert mock.chat(max_tokens=1).status_code == 500
    assert mock.chat(max_tokens=2).status_code == 200
    mock.change(probe_fault=None, fault="status:503")
    assert mock.chat(max_tokens=1).status_code == 200
    assert mock.chat(max_tokens=2).status_code == 503
    truth = mock.truth()
    assert (truth["probes"]["requests"], truth["requests"]) == (2, 2)
    assert truth["last_body"]["max_tokens"] == 2


def test_a_requests_own_fault_goes_before_that_of_the_engine(mock: Any) -> None:
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
def test_a_wrong_switch_changes_nothing(mock: Any, patch: dict[str, Any]) -> None:
    answer = mock.change(tokens=3, **patch)
    assert answer.status_code == 400
    assert "mock engine" in answer.json()["error"]["message"]
    assert mock.chat().json()["usage"]["completion_tokens"] == 16


def test_mock_page_wants_an_object(mock: Any) -> None:
    assert mock.http.post("/mock", content=b"[]").status_code == 400
    assert mock.http.post("/mock", content=b"{").status_code == 400


def test_a_key_guards_v1_and_nothing_else(guarded_mock: Any) -> None:
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
    pytest.fail("it did not come to pass in 5 s")


async def test_it_serves_in_the_loop_of_a_test_too() -> None:
    async with MockEngine(models=["m"]) as engine, httpx.AsyncClient(base_url=engine.url, trust_env=False) as client:
        answer = await client.post("/v1/chat/completions", json={"messages": [], "max_tokens": 2})
        assert answer.json()["model"] == "m"
        assert engine.truth.work.finished == 1
        hanging = asyncio.create_task(client.post("/v1/chat/completions", json={"mock": {"fault": "hang"}}))
        await _until(lambda: engine.truth.work.running == 1)
        hanging.cancel()
        await _until(lambda: engine.truth.work.running == 0)
        assert engine.truth.work.cancelled == 1


async def test_leaving_it_breaks_what_still_runs() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        async with MockEngine() as engine:
            url = f"{engine.url}/v1/chat/completions"
            hanging = asyncio.create_task(client.post(url, json={"mock": {"fault": "hang"}}))
            await _until(lambda: engine.truth.work.running == 1)
        with pytest.raises(httpx.TransportError):
            await hanging
