"""Requests of clients to the composed stack, through nginx."""

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from tests.support.compose.stack import Stack, until
from tests.support.readme import SdkExample

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

CHAT = "/v1/chat/completions"
TRIES = 3  # an engine on a busy core pauses too; an nginx that buffered would do so every time


def chat(text: str = "What is Glasshouse?", **fields: Any) -> dict[str, Any]:
    return {"model": "glasshouse-demo", "messages": [{"role": "user", "content": text}], "temperature": 0, **fields}


def test_openais_sdk_gets_an_answer_over_https(stack: Stack) -> None:
    client = openai.OpenAI(
        base_url=f"https://localhost:{stack.https_port}/v1",
        api_key=stack.key,
        http_client=openai.DefaultHttpxClient(verify=stack.tls()),
    )
    with client:
        answer = client.chat.completions.create(**chat())
    assert "Glasshouse" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 5


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_readmes_example_for_the_sdk_works_as_pasted(stack: Stack, readme: str) -> None:
    example = SdkExample.of(readme)
    # But for the port: 443 may be taken where tests run.
    assert "https://localhost/v1" in example.export
    export = example.export.replace("https://localhost/v1", f"https://localhost:{stack.https_port}/v1")
    assert example.run(stack.directory, export).strip()


def test_a_stream_arrives_piece_by_piece_through_nginx(stack: Stack, measured: Callable[[str], None]) -> None:
    body = chat(max_tokens=1000, ignore_eos=True, stream=True)
    for _ in range(TRIES):
        with stack.client() as client, client.stream("POST", CHAT, json=body) as answer:
            sent = time.monotonic()
            pieces = [(time.monotonic(), piece) for piece in answer.iter_raw()]
        first, last = pieces[0][0] - sent, pieces[-1][0] - sent
        gaps = [after[0] - before[0] for before, after in itertools.pairwise(pieces)]
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert pieces[-1][1].rstrip().endswith(b"[DONE]")
        assert len(pieces) > 100
        if smooth := first < 0.3 * last and max(gaps) < 0.5 * last:
            break
    assert smooth
    measured(
        f"stream of 1000 tokens through nginx: {len(pieces)} reads over {last:.2f} s, gaps p50 "
        f"{statistics.median(gaps) * 1000:.1f} ms, max {max(gaps) * 1000:.0f} ms"
    )


@pytest.mark.parametrize(("key", "code"), [(None, "missing_api_key"), ("sk-wrong", "invalid_api_key")])
def test_a_wrong_key_is_refused(stack: Stack, key: str | None, code: str) -> None:
    with stack.client(key=key) as client:
        answer = client.post(CHAT, json=chat())
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert answer.json()["error"]["code"] == code


def test_the_error_for_an_unknown_model_lists_the_known_ones(stack: Stack) -> None:
    with stack.client() as client:
        answer = client.post(CHAT, json=chat(model="gpt-9"))
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "glasshouse-demo" in answer.json()["error"]["message"]


def test_unknown_paths_are_404_and_metrics_are_not_public(stack: Stack) -> None:
    with stack.client() as client:
        for path in ("/metrics", "/stub_status", "/v1/unknown", "/collective_rpc"):
            answer = client.get(path)
            assert answer.status_code == httpx.codes.NOT_FOUND, path
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_plain_http_is_redirected_except_for_health(stack: Stack) -> None:
    url = f"http://localhost:{stack.http_port}"
    moved = httpx.get(f"{url}/v1/models")
    assert moved.status_code in {301, 307, 308}
    assert moved.headers["location"] == f"https://localhost:{stack.https_port}/v1/models"
    assert httpx.get(f"{url}/healthz").status_code == httpx.codes.OK


def test_a_key_made_by_the_init_image_and_its_revocation_need_no_restart(stack: Stack) -> None:
    made = stack.compose("run", "--rm", "init", "key", "add", "alice")
    (key,) = [word for word in made.split() if word.startswith("sk-")]

    def status() -> int:
        with stack.client(key=key) as client:
            return client.get("/v1/models").status_code

    until(lambda: status() == httpx.codes.OK, 15, "the new key is accepted")
    stack.compose("run", "--rm", "init", "key", "revoke", "alice")
    until(lambda: status() == httpx.codes.UNAUTHORIZED, 15, "the revoked key is refused")
