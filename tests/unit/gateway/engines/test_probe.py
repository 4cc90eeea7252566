"""The one-token probe: which endpoint it uses, and what counts as passed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import orjson
import pytest

from gateway.engines.probe import Probe
from gateway.errors import EngineBadResponse, EngineReset
from gateway.upstream import Upstream
from gateway.usage import Usage

GENERATED = (200, b'{"choices":[{"text":"a"}],"usage":{"prompt_tokens":2,"completion_tokens":1}}')
EMBEDDED = (200, b'{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":3}}')
NOT_FOUND = (404, b"{}")


class FakeUpstream:
    """Gives each endpoint a fixed response, and keeps the requests."""

    def __init__(self, completion: tuple[int, bytes], embedding: tuple[int, bytes] = NOT_FOUND) -> None:
        self._responses = {b"/v1/completions": completion, b"/v1/embeddings": embedding}
        self.requests: list[tuple[bytes, dict[str, Any]]] = []

    async def fetch(self, method: bytes, path: bytes, body: bytes, *, limit: int) -> tuple[int, bytes]:
        assert method == b"POST"
        assert limit > 0
        self.requests.append((path, orjson.loads(body)))
        return self._responses[path]


def probe(upstream: FakeUpstream, reported: list[Any] | None = None) -> Probe:
    reports = [] if reported is None else reported
    return Probe(cast("Upstream", upstream), lambda *report: reports.append(report))


async def test_it_asks_for_one_token() -> None:
    upstream = FakeUpstream(GENERATED)
    await probe(upstream).run("m")
    assert upstream.requests == [(b"/v1/completions", {"model": "m", "prompt": "1", "max_tokens": 1})]


@pytest.mark.parametrize("status", [400, 404, 405, 501])
async def test_an_engine_that_does_not_generate_is_asked_to_embed_from_then_on(status: int) -> None:
    upstream = FakeUpstream((status, b"{}"), EMBEDDED)
    embedder = probe(upstream)
    await embedder.run("m")
    await embedder.run("m")
    paths = [path for path, _ in upstream.requests]
    assert paths == [b"/v1/completions", b"/v1/embeddings", b"/v1/embeddings"]
    assert upstream.requests[-1][1] == {"model": "m", "input": "1"}


@pytest.mark.parametrize(
    ("completion", "embedding", "status"),
    [
        ((500, b"out of memory"), EMBEDDED, 500),
        ((200, b"<html>"), EMBEDDED, 200),
        ((200, b'{"data":[]}'), EMBEDDED, 200),
        (NOT_FOUND, NOT_FOUND, 404),
        (NOT_FOUND, (503, b"{}"), 503),
    ],
)
async def test_everything_else_fails(completion: tuple[int, bytes], embedding: tuple[int, bytes], status: int) -> None:
    with pytest.raises(EngineBadResponse, match=f"the one-token probe got {status}: "):
        await probe(FakeUpstream(completion, embedding)).run("m")


async def test_a_long_response_is_quoted_in_part() -> None:
    with pytest.raises(EngineBadResponse) as caught:
        await probe(FakeUpstream((500, b"x" * 10_000))).run("m")
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("completion", "embedding", "reports"),
    [
        (GENERATED, NOT_FOUND, [("ok", Usage(2, 1))]),
        (NOT_FOUND, EMBEDDED, [("rejected", None), ("ok", Usage(3, 0))]),
        ((200, b'{"choices":[]}'), NOT_FOUND, [("ok", None)]),
        ((200, b'not JSON: "choices"'), NOT_FOUND, [("ok", None)]),
        ((500, b"out of memory"), EMBEDDED, [("failed", None)]),
        (NOT_FOUND, NOT_FOUND, [("rejected", None), ("rejected", None)]),
    ],
)
async def test_each_request_is_reported_with_its_tokens(
    completion: tuple[int, bytes], embedding: tuple[int, bytes], reports: list[Any]
) -> None:
    reported: list[Any] = []
    with suppress(EngineBadResponse):
        await probe(FakeUpstream(completion, embedding), reported).run("m")
    assert reported == reports


async def test_a_broken_connection_is_reported_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    upstream, reported = FakeUpstream(GENERATED), list[Any]()

    async def reset(*_: object, **__: object) -> tuple[int, bytes]:
        raise EngineReset("x", has_begun=False)

    monkeypatch.setattr(upstream, "fetch", reset)
    with pytest.raises(EngineReset):
        await probe(upstream, reported).run("m")
    assert reported == [("failed", None)]
