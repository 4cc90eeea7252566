"""Pages of other sites: none may read answers unless its origin is named, and then all that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.in_process.server import CHAT, Gateway, chat

from gateway.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.in_process.mock import Mock

    Serve = Callable[..., Awaitable[Gateway]]

ORIGIN = "https://app.example.com"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type, x-stainless-os",
}
PATHS = [CHAT, "/v1/models", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
async def test_closed_a_preflight_is_refused_and_names_the_setting(gateway: Gateway, path: str) -> None:
    answer = await gateway.http.request("OPTIONS", path, headers=PREFLIGHT)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "origin_not_allowed"
    assert "CORS_ORIGINS" in answer.json()["error"]["message"]
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert len(answer.headers.get_list("x-request-id")) == 1
    await gateway.settled(1)


@pytest.mark.parametrize("headers", [{}, {"origin": ORIGIN}])
async def test_closed_no_answer_speaks_of_origins(gateway: Gateway, headers: dict[str, str]) -> None:
    for answer in (
        await gateway.http.get("/livez", headers=headers),
        await gateway.http.post(CHAT, json=chat(), headers=headers),
    ):
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control") or name == "vary"]


@pytest.fixture
async def opened(serve: Serve, alpha: Mock) -> Gateway:
    return await serve(alpha, cors_origins=(ORIGIN, "http://localhost:3000"))


@pytest.mark.parametrize("path", PATHS)
async def test_opened_a_preflight_is_answered_without_a_key(opened: Gateway, path: str) -> None:
    answer = await opened.http.request("OPTIONS", path, headers={**PREFLIGHT, "authorization": ""})
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert ("POST" if path == CHAT else "GET") in answer.headers["access-control-allow-methods"]
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers
    await opened.settled(1)


@pytest.mark.parametrize("stream", [False, True])
async def test_opened_answers_errors_and_streams_can_be_read_by_the_page(opened: Gateway, stream: bool) -> None:
    for answer in (
        await opened.http.post(CHAT, json=chat(stream=stream), headers={"origin": "http://localhost:3000"}),
        await opened.http.post(CHAT, json={}, headers={"origin": "http://localhost:3000"}),
        await opened.http.get("/v1/models", headers={"origin": "http://localhost:3000", "authorization": "no"}),
    ):
        assert answer.headers.get_list("access-control-allow-origin") == ["http://localhost:3000"]
        assert {"x-request-id", "retry-after", "x-ratelimit-remaining-requests", "x-cost-usd"} <= set(
            answer.headers["access-control-expose-headers"].split(", ")
        )
        assert answer.headers["vary"] == "origin"


@pytest.mark.parametrize("origin", ["https://evil.example.com", "https://app.example.com.evil.com", "null", "*", ""])
async def test_opened_for_some_it_stays_closed_for_others(opened: Gateway, origin: str) -> None:
    answer = await opened.http.get("/livez", headers={"origin": origin})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["vary"] == "origin", "a cache must not give it to a page that may read it"
    preflight = await opened.http.request("OPTIONS", CHAT, headers={**PREFLIGHT, "origin": origin})
    assert preflight.status_code == 403


async def test_options_that_is_no_preflight_is_any_other_method(opened: Gateway) -> None:
    for path in (CHAT, "/livez"):
        assert (await opened.http.request("OPTIONS", path, headers={"origin": ORIGIN})).status_code == 405


@pytest.mark.parametrize(
    "text",
    [
        *("*", "null", "app.example.com", "https://app.example.com/", "https://a.b/c", "ftp://a"),
        *("https://*.a.com", "https://a b", "https://a:b@c"),
    ],
)
def test_what_is_no_origin_is_refused_at_start(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINES", "a=http://127.0.0.1:1")
    monkeypatch.setenv("CORS_ORIGINS", f"{ORIGIN},{text}")
    with pytest.raises(SettingsError, match="CORS_ORIGINS"):
        Settings.load()


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINES", "a=http://127.0.0.1:1")
    monkeypatch.setenv("CORS_ORIGINS", " https://App.example.com , http://[::1]:3000,")
    assert Settings.load().cors_origins == ("https://app.example.com", "http://[::1]:3000")
