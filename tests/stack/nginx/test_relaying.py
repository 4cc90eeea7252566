"""Relaying: immediate streams, reused connections, trusted headers, clients that disconnect."""

import json
import statistics
import subprocess
import time
from itertools import pairwise

import pytest
from tests.support.compose.stack import until
from tests.support.nginx.client import NginxClient, encode_request
from tests.support.nginx.containers import FakeUpstream, NginxProcess, Sandbox

CHAT = "/v1/chat/completions"
STREAM = {"stream": 8, "every": 0.2}


def paced(times: list[float]) -> bool:
    """Whether they came at the pace of STREAM, rather than together."""
    return statistics.median(later - sooner for sooner, later in pairwise(times[:8])) == pytest.approx(0.2, rel=0.5)


@pytest.mark.timing
def test_events_are_relayed_immediately(client: NginxClient) -> None:
    with client.open_tls() as raw:
        response = raw.send(encode_request(CHAT, b"{}", method="POST", do=STREAM)).read_response()
    assert response.event_data == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"[DONE]"]
    events = [read.at for read in response.reads if b"data:" in read.data]
    assert len(events) >= 8
    assert paced(events)


@pytest.mark.timing
def test_events_are_relayed_immediately_over_http2(client: NginxClient) -> None:
    url = f"https://localhost:{client.nginx.port(443)}{CHAT}"
    command = ("curl", "-sSN", "--noproxy", "*", "--http2", "--cacert", str(client.trusted))
    with subprocess.Popen(
        [*command, "-H", f"x-do: {json.dumps(STREAM)}", "-d", "{}", url], stdout=subprocess.PIPE
    ) as curl:
        assert curl.stdout is not None
        times = [time.monotonic() for line in curl.stdout if line.startswith(b"data:")]
    assert curl.returncode == 0
    assert len(times) == 9
    assert paced(times)


@pytest.mark.timing
@pytest.mark.parametrize("do", [{"stream": 100, "every": 0.2}, {"hang": True}], ids=str)
@pytest.mark.parametrize("version", ["http1.1", "http2"])
def test_a_client_that_disconnects_frees_the_gateway_within_a_second(
    client: NginxClient, upstream: FakeUpstream, do: dict[str, float], version: str
) -> None:
    mark = f"going-{version}-{next(iter(do))}-{client.nginx.id}"
    url = f"https://localhost:{client.nginx.port(443)}{CHAT}"
    command = ("curl", "-sSN", "--noproxy", "*", f"--{version}", "--cacert", str(client.trusted), "-d", "{}")
    headers = ("-H", f"x-do: {json.dumps(do)}", "-H", f"x-request-id: {mark}")
    with subprocess.Popen([*command, *headers, url], stdout=subprocess.DEVNULL) as curl:
        until(lambda: len(upstream.requests(mark)) == 1, 5, "the request is there")
        curl.kill()
    gone = time.time()
    until(lambda: upstream.requests(mark)[0]["gone"] is not None, 5, "the gateway notices")
    assert upstream.requests(mark)[0]["gone"] - gone < 1


def test_connections_to_the_gateway_are_reused(client: NginxClient) -> None:
    received = [json.loads(client.request("/livez").body) for _ in range(20)]
    # Each of nginx's workers keeps its own; without keep-alive there would be twenty.
    assert len({item["connection"] for item in received}) <= 8
    assert not [value for item in received for name, value in item["headers"] if name == "connection"]


def test_a_slow_upload_arrives_whole(client: NginxClient, upstream: FakeUpstream) -> None:
    body, mark = b"a" * 50_000, f"upload-{client.nginx.id}"
    with client.open_tls() as raw:
        raw.send(encode_request(CHAT, method="POST", x_mark=mark, content_length=str(len(body))))
        for start in range(0, len(body), 10_000):
            assert upstream.requests(mark) == []
            raw.send(body[start : start + 10_000])
            time.sleep(0.1)
        assert raw.read_response().status == 200
    assert [received["length"] for received in upstream.requests(mark)] == [50_000]


SPOOFED = {
    "x_forwarded_for": "6.6.6.6", "x_real_ip": "6.6.6.6", "x_forwarded_proto": "gopher", "x_forwarded_host": "evil",
    "forwarded": "for=6.6.6.6", "connection": "upgrade, x-api-key", "upgrade": "websocket",
}  # fmt: skip


def test_forwarding_headers_of_a_client_are_overwritten(client: NginxClient, shared_sandbox: Sandbox) -> None:
    headers = json.loads(client.request("/livez", b"", method="GET", do=None, **SPOOFED).body)["headers"]
    assert "6.6.6.6" not in json.dumps(headers)
    address = "127.0.0.1" if isinstance(client.nginx, NginxProcess) else shared_sandbox.gateway_address
    assert dict(headers) | {
        "host": "localhost", "x-forwarded-for": address, "x-real-ip": address,
        "x-forwarded-proto": "https", "x-forwarded-host": "localhost",
    } == dict(headers)  # fmt: skip
    assert not {"upgrade", "connection", "forwarded"} & set(dict(headers))


def test_a_trusted_load_balancer_sets_the_client_address(sandbox: Sandbox) -> None:
    sandbox.upstream()
    trusted = f"192.0.2.0/24, {sandbox.gateway_address},2001:db8::/32"
    client = NginxClient(sandbox.nginx(TRUSTED_PROXIES=trusted), sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    for given, believed in {
        "203.0.113.7": "203.0.113.7",
        "6.6.6.6, 203.0.113.7": "203.0.113.7",  # what the client wrote stands to the left
        "203.0.113.7, 192.0.2.9": "203.0.113.7",
        "nonsense": sandbox.gateway_address,
    }.items():
        headers = dict(json.loads(client.request("/livez", x_forwarded_for=given).body)["headers"])
        assert headers["x-forwarded-for"] == headers["x-real-ip"] == believed
    client.request("/metrics", x_forwarded_for="203.0.113.8")
    until(lambda: bool(client.nginx.log_lines(path="/metrics", client="203.0.113.8")), 5, "the log has its address")


@pytest.mark.parametrize("given", ["two words", "a;b", 'a"b', "%0d%0aset-cookie:x", "x" * 129, "키", "<script>", ""])
def test_a_harmful_request_id_is_replaced_before_the_gateway(client: NginxClient, given: str) -> None:
    response = client.request("/livez", x_request_id=given)
    received = dict(json.loads(response.body)["headers"])["x-request-id"]
    assert received == response.headers["x-request-id"] != given
    assert len(received) == 32


def test_a_harmless_request_id_stays(client: NginxClient) -> None:
    assert client.request("/livez", x_request_id="my-own:1.2_3").headers["x-request-id"] == "my-own:1.2_3"


def test_the_gateway_cannot_control_nginx(client: NginxClient) -> None:
    inside = {"status": 200, "headers": {"x-accel-redirect": "/.nginx/502", "x-accel-limit-rate": "1"}, "body": "body"}
    assert client.request("/livez", do=inside).body == b"body"


def test_plain_http_is_redirected_to_https_with_method_and_query(docker_client: NginxClient) -> None:
    with docker_client.open_plain() as raw:
        response = raw.send(encode_request("/v1/models?a=b", b"{}", method="POST")).read_response()
    assert (response.status, response.headers["location"]) == (308, "https://localhost/v1/models?a=b")
    with docker_client.open_plain() as raw:
        health = raw.send(encode_request("/healthz", b"", method="GET", do=None, **SPOOFED)).read_response()
    assert dict(json.loads(health.body)["headers"])["x-forwarded-proto"] == "http"
    assert health.status == 200


def test_the_redirect_names_domain_and_public_port(sandbox: Sandbox) -> None:
    client = NginxClient(sandbox.nginx(TLS_DOMAIN="llm.example.org", HTTPS_PORT="8443"), sandbox.tls / "cert.pem")
    with client.open_plain() as raw:
        response = raw.send(encode_request("/docs", host="evil.example")).read_response()
    assert response.headers["location"] == "https://llm.example.org:8443/docs"


def test_a_challenge_is_served_on_port_80_and_nothing_else_of_that_folder(
    docker_client: NginxClient, shared_sandbox: Sandbox
) -> None:
    folder = shared_sandbox.webroot / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "a-token_1").write_text("its answer")
    (folder / "a.file").write_text("something else")
    for path, status in {"a-token_1": 200, "a.file": 404, "": 404, "none": 404, "%2e%2e/x": 404, "x/y": 404}.items():
        with docker_client.open_plain() as raw:
            response = raw.send(encode_request(f"/.well-known/acme-challenge/{path}")).read_response()
        assert response.status == status, path
        assert (response.body == b"its answer") == (status == 200)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
def test_methods_and_headers_of_the_gateway_are_relayed_unchanged(
    client: NginxClient, upstream: FakeUpstream, method: str
) -> None:
    mark = f"understood-{method}-{client.nginx.id}"
    headers = {
        "origin": "https://app.example.org", "access_control_request_method": "POST",
        "access_control_request_headers": "authorization", "content_encoding": "gzip", "accept_encoding": "gzip, br",
    }  # fmt: skip
    allowed = {"access-control-allow-origin": "https://app.example.org", "vary": "Origin"}
    do = {"status": 204, "headers": allowed}
    with client.open_tls() as raw:
        raw.send(encode_request(CHAT, b"\x1f\x8b" * (method == "POST"), method=method, do=do, x_mark=mark, **headers))
        head = raw.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 204")
    assert b"access-control-allow-origin: https://app.example.org\r\n" in head.lower()
    (received,) = upstream.requests(mark)
    assert received["method"] == method
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    assert sent.items() <= dict(received["headers"]).items()


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.0"])
def test_an_upgrade_offer_is_removed_and_its_body_relayed(client: NginxClient, offer: str) -> None:
    body = b'{"model": "m"}'
    response = client.request(
        CHAT, body, method="POST", connection="Upgrade, HTTP2-Settings", upgrade=offer, http2_settings="AAMAAABk"
    )
    assert response.status == 200
    received = json.loads(response.body)
    assert received["length"] == len(body)
    assert not {"upgrade", "connection"} & {name for name, _ in received["headers"]}
