"""What nginx itself refuses: in the API's error shape, with a request id, and none of it reaches the gateway."""

import json
import subprocess

import pytest
from tests.support.compose.stack import docker, until
from tests.support.http.message import Response
from tests.support.nginx.client import NginxClient, encode_request, parse_error
from tests.support.nginx.containers import FakeUpstream, Sandbox

CHAT = "/v1/chat/completions"
SMUGGLED = b"GET /models/status HTTP/1.1\r\nhost: localhost\r\nx-mark: smuggled\r\n\r\n"
LIMIT = 100_000


def post(*lines: str) -> bytes:
    return "\r\n".join([f"POST {CHAT} HTTP/1.1", "host: localhost", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "lines",
    [
        ["content-length: 5", "transfer-encoding: chunked"],
        ["transfer-encoding: chunked", "content-length: 5"],
        ["content-length: 5", "content-length: 60"],
        ["content-length: 5, 60"],
        ["content-length: +5"],
        ["content-length: -1"],
        ["transfer-encoding: chunked", "transfer-encoding: identity"],
        ["transfer-encoding: chunked, identity"],
        ["host: elsewhere"],
    ],
    ids=" | ".join,
)
def test_an_ambiguous_request_is_refused(client: NginxClient, upstream: FakeUpstream, lines: list[str]) -> None:
    with client.open_tls(timeout=2) as raw:
        raw.send(post(*lines) + b"0\r\n\r\n" + SMUGGLED)
        while raw.read():
            pass
    assert raw.received.count(b"HTTP/1.1 ") == 1
    assert raw.received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert b"HTTP/1.1 400 " in raw.received or "identity" in lines[0] + lines[-1]
    assert upstream.requests("smuggled") == []


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (post("a b: c"), 400, "bad_request"),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET /livez HTTP/9.1\r\nhost: localhost\r\n\r\n", 501, "bad_request"),
        (b"GET /%zz HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, "bad_request"),
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (encode_request("/livez", a="b" * 40_000), 400, "bad_request"),
        (encode_request("/" + "a" * 40_000), 414, "uri_too_long"),
        (encode_request("/livez", method="TRACE"), 405, "method_not_allowed"),
        (encode_request("/livez", expect="100-continue, nonsense"), 200, ""),
        (post(f"content-length: {LIMIT + 1}"), 413, "request_too_large"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
def test_errors_of_nginx_have_openais_shape(client: NginxClient, request_: bytes, status: int, code: str) -> None:
    response = client.send(request_)
    assert response.status == status
    assert not code or parse_error(response) == (status, code)


def test_plain_http_on_the_port_of_tls(client: NginxClient) -> None:
    command = ("curl", "-sS", "--noproxy", "*", "-i", f"http://localhost:{client.nginx.port(443)}/livez")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    head, _, body = done.stdout.partition("\n\n")
    assert done.stdout.startswith("HTTP/1.1 400 "), head
    assert json.loads(body or done.stdout.partition("\r\n\r\n")[2])["error"]["code"] == "tls_required"


def test_a_body_may_be_as_long_as_the_limit_and_no_longer(client: NginxClient, upstream: FakeUpstream) -> None:
    assert client.request(CHAT, b"a" * LIMIT, method="POST", x_mark="at-the-limit").status == 200
    over = client.request(CHAT, b"a" * (LIMIT + 1), method="POST", x_mark="over-the-limit")
    assert parse_error(over) == (413, "request_too_large")
    assert f"{LIMIT} bytes" in json.loads(over.body)["error"]["message"]
    chunk = b"ffff\r\n" + b"a" * 0xFFFF + b"\r\n"
    head = post("transfer-encoding: chunked", "x-mark: over-the-limit")
    assert parse_error(client.send(head + 2 * chunk + b"0\r\n\r\n")) == (413, "request_too_large")
    assert parse_error(client.request_http2(CHAT, "-H", "x-mark: over-the-limit", "-d", "a" * (LIMIT + 1))) == (
        413,
        "request_too_large",
    )
    assert upstream.requests("over-the-limit") == []


@pytest.mark.parametrize("do", [{"reset": True}, {"garbage": True}], ids=str)
def test_a_gateway_that_breaks_is_502(client: NginxClient, upstream: FakeUpstream, do: dict[str, bool]) -> None:
    mark = f"broken-{next(iter(do))}-{client.nginx.id}"
    response = client.request(CHAT, b"{}", method="POST", do=do, x_request_id=mark)
    assert parse_error(response) == (502, "gateway_unavailable")
    assert response.headers["retry-after"] == "5"
    assert response.headers["x-request-id"] == mark
    # It may have cost GPU time: never sent twice.
    assert len(upstream.requests(mark)) == 1


def anthropic(response: Response) -> tuple[int, str]:
    content = json.loads(response.body)
    assert set(content) == {"type", "error", "request_id"}
    assert content["type"] == "error"
    assert content["request_id"] == response.headers["x-request-id"]
    assert set(content["error"]) == {"type", "message"}
    return response.status, content["error"]["type"]


def test_on_messages_errors_have_anthropics_shape(client: NginxClient) -> None:
    path = "/v1/messages"
    large = post(f"content-length: {LIMIT + 1}").replace(CHAT.encode(), path.encode())
    assert anthropic(client.send(large)) == (413, "request_too_large")
    assert anthropic(client.request(f"{path}?beta=true", do={"reset": True})) == (502, "api_error")
    assert anthropic(client.request(f"{path}/count_tokens", method="TRACE")) == (405, "invalid_request_error")
    assert anthropic(client.request(f"{path}/batches")) == (404, "not_found_error")
    assert parse_error(client.request("/v1/messagesx")) == (404, "not_found")


def test_errors_of_the_gateway_are_relayed_unchanged(client: NginxClient) -> None:
    for status in (400, 401, 404, 413, 429, 500, 502, 503, 504):
        own_error = {
            "status": status,
            "headers": {"x-request-id": "its-own", "retry-after": "7"},
            "body": '{"its":"own"}',
        }
        with client.open_tls() as raw:
            response = raw.send(encode_request(CHAT, b"{}", method="POST", do=own_error)).read_response()
            head = raw.received.partition(b"\r\n\r\n")[0].lower()
        assert (response.status, response.body) == (status, b'{"its":"own"}')
        assert (response.headers["x-request-id"], response.headers["retry-after"]) == ("its-own", "7")
        assert (head.count(b"x-request-id"), head.count(b"retry-after")) == (1, 1)


def test_a_response_without_a_request_id_gets_one(client: NginxClient) -> None:
    response = client.request(CHAT, b"{}", method="POST", do={"status": 200}, x_request_id="mine")
    assert response.headers["x-request-id"] == "mine"


def test_too_many_requests_from_one_address_are_429(sandbox: Sandbox) -> None:
    sandbox.upstream()
    client = NginxClient(sandbox.nginx(RATE_LIMIT_RPS="2"), sandbox.tls / "cert.pem")
    responses = [client.request("/livez") for _ in range(8)]
    assert [response.status for response in responses[:5]] == [200] * 5
    assert parse_error(responses[7]) == (429, "rate_limit_exceeded")
    assert responses[7].headers["retry-after"] == "1"
    assert anthropic(client.request("/v1/messages")) == (429, "rate_limit_error")
    # A health check of a load balancer must not be answered so.
    with client.open_plain() as raw:
        for _ in range(8):
            assert raw.send(encode_request("/healthz")).read_response().status == 200
            raw.reads.clear()


def test_too_many_at_once_from_one_address_are_429(sandbox: Sandbox) -> None:
    upstream = sandbox.upstream()
    client = NginxClient(sandbox.nginx(CONNECTIONS_PER_IP="2", RATE_LIMIT_RPS="0"), sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    with client.open_tls() as first, client.open_tls() as second:
        for raw in (first, second):
            raw.send(encode_request(CHAT, do={"stream": 50, "every": 0.2})).read_until(b"data: 0")
        assert parse_error(client.request("/livez")) == (429, "rate_limit_exceeded")
    until(client.is_served, 30, "their places are free again")
    assert len(upstream.requests("stream")) == 2


def test_without_a_gateway_nginx_keeps_serving(sandbox: Sandbox) -> None:
    client = NginxClient(sandbox.nginx(), sandbox.tls / "cert.pem")
    assert parse_error(client.request("/livez")) == (502, "gateway_unavailable")
    assert parse_error(client.request("/metrics")) == (404, "not_found")
    upstream = sandbox.upstream()
    until(client.is_served, 30, "the gateway is found")
    docker("stop", "-t", "0", upstream.id)
    # At first its address is asked and is silent; then its name is gone.
    assert parse_error(client.request("/livez")) in {(502, "gateway_unavailable"), (504, "gateway_timeout")}
    until(lambda: parse_error(client.request("/livez")) == (502, "gateway_unavailable"), 10, "its name is gone")
