"""Which paths reach the gateway, which reach Grafana, and the errors for all others."""

import json

import pytest
from tests.support.nginx.client import NginxClient, parse_error
from tests.support.nginx.containers import FakeUpstream

# The endpoints of design and gateway.
ENDPOINTS = [
    "/", "/livez", "/readyz", "/healthz", "/health", "/models/status", "/docs", "/openapi.json",
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages",
    "/v1/messages/count_tokens", "/v1/rerank", "/v1/score", "/tokenize", "/detokenize", "/generate",
    "/generate/stream", "/v1/models", "/v1/models/owner/name-1.0", "/v1/tasks", "/v1/tasks/til", "/v1/jobs",
    "/v1/jobs/1/result",
]  # fmt: skip
NOBODYS = [
    "/metrics", "/metrics/", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/V1/models", "/v1/modelsx", "/docs/x",
    "/redoc", "/stub_status", "/nginx_status", "/.nginx/400", "/.nginx/502", "/.env", "/secrets/api-key", "/api/live",
    "/models", "//v1/models", "/v1//models", "/v1/%6dodels", "/v1/models%00", "/v1/chat/completions;x", "/admin",
    "/.well-known/acme-challenge/x", "/index.html", "/grafanax",
]  # fmt: skip
CLIMBING = [
    "/../../etc/passwd", "/v1/../metrics", "/v1/models/../../metrics", "/v1/models/..", "/v1/models/%2e%2e/%2e%2e/x",
    "/v1/models/..%2f..%2fmetrics", "/%2e%2e/%2E%2e/etc/passwd", "/x/../v1/models", "/grafana/../metrics",
    "/grafana/%2e%2e/v1/models", "/grafana/..%2fmetrics", "/v1/models/.%2e/x", "/..",
]  # fmt: skip


@pytest.mark.parametrize("path", ENDPOINTS)
def test_an_endpoint_reaches_the_gateway_unchanged(client: NginxClient, path: str) -> None:
    response = client.request(f"{path}?a=%20b")
    assert response.status == 200
    assert json.loads(response.body)["target"] == f"{path}?a=%20b"


@pytest.mark.parametrize("path", NOBODYS)
def test_any_other_path_is_404_and_reaches_no_upstream(client: NginxClient, upstream: FakeUpstream, path: str) -> None:
    mark = f"nobodys-{NOBODYS.index(path)}"
    status, code = parse_error(client.request(path, x_mark=mark))
    assert (status, code) == ((400, "bad_request") if "%00" in path else (404, "not_found"))
    assert client.request_http2(path, "-H", f"x-mark: {mark}").status in {400, 404}
    assert upstream.requests(mark) == []


@pytest.mark.parametrize("path", CLIMBING)
def test_a_path_with_dot_segments_is_404_everywhere(client: NginxClient, upstream: FakeUpstream, path: str) -> None:
    mark = f"climbing-{CLIMBING.index(path)}"
    assert parse_error(client.request(path, x_mark=mark)) == (404, "not_found")
    assert parse_error(client.request_http2(path, "-H", f"x-mark: {mark}")) == (404, "not_found")
    assert upstream.requests(mark) == []


def test_dots_in_a_query_are_allowed(client: NginxClient) -> None:
    assert client.request("/v1/models?a=../..").status == 200


def test_an_absolute_address_is_taken_by_its_path(client: NginxClient) -> None:
    assert client.request("https://localhost/v1/models").status == 200
    assert client.request("https://localhost/metrics").status == 404
