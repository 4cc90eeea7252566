"""ASGI scopes, made from what the parser read."""

from __future__ import annotations

import pytest

from gateway.asgi_exchange import ABORT_EXTENSION, REFUSED
from gateway.errors import HeadersTooLarge, MalformedRequest
from gateway.server.scope import Scopes, parse_target

HEADERS = [(b"host", b"gateway")]
CALLS: list[str] = []
SCOPES = Scopes(("127.0.0.1", 8000), ("10.0.0.1", 5), lambda: CALLS.append("abort"), {"a": 1})


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/livez", "/livez", b"/livez", b""),
        (b"/a%20b/%ED%95%9C?x=%20&y", "/a b/한", b"/a%20b/%ED%95%9C", b"x=%20&y"),
        (b"//v1/models", "//v1/models", b"//v1/models", b""),
        (b"http://gateway", "/", b"/", b""),
        (b"http://gateway/v1/models?a", "/v1/models", b"/v1/models", b"a"),
    ],
)
def test_a_target_is_split(target: bytes, path: str, raw_path: bytes, query: bytes) -> None:
    scope = SCOPES.request("GET", parse_target(target), "1.1", HEADERS)
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)
    assert (scope["type"], scope["method"], scope["http_version"], scope["headers"]) == ("http", "GET", "1.1", HEADERS)
    assert (scope["server"], scope["client"]) == (("127.0.0.1", 8000), ("10.0.0.1", 5))


@pytest.mark.parametrize("target", [b"", b"livez", b"http://"])
def test_what_is_not_a_path_is_refused(target: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_target(target)


def test_an_application_can_abort_the_connection() -> None:
    SCOPES.request("GET", parse_target(b"/"), "1.1", [])["extensions"][ABORT_EXTENSION]["abort"]()
    assert CALLS == ["abort"]


def test_each_request_has_a_state_of_its_own() -> None:
    first, second = (SCOPES.request("GET", parse_target(b"/"), "1.1", [])["state"] for _ in range(2))
    first["b"] = 2
    assert second == {"a": 1}


def test_a_refusal_carries_its_error_and_what_is_known_of_the_headers() -> None:
    error = HeadersTooLarge("too many")
    scope = SCOPES.refused(error, HEADERS)
    assert (scope["type"], scope["error"], scope["headers"], scope["path"]) == (REFUSED, error, HEADERS, "")
