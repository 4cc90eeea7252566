"""The access log: a JSON line for each response that the gateway did not give, without private content."""

from tests.support.compose.stack import until
from tests.support.nginx.client import NginxClient, encode_request

SECRET = "sk-canary-0123456789abcdef"
FIELDS = {
    "ts", "level", "event", "request_id", "client", "method", "path", "status", "duration_s", "upstream", "connect_s",
}  # fmt: skip


def test_only_responses_that_the_gateway_did_not_give_are_logged(client: NginxClient) -> None:
    client.request("/livez", x_request_id="log-answered")
    client.request("/livez", do={"status": 500}, x_request_id="log-its-own-error")
    client.request("/nothing", x_request_id="log-refused")
    client.request("/livez", do={"reset": True}, x_request_id="log-broken")
    until(lambda: len(client.nginx.log_lines(request_id="log-broken")) == 1, 5, "the last one is in the log")
    logged = {line["request_id"]: line for line in client.nginx.log_lines() if line["request_id"].startswith("log-")}
    assert {name: line["status"] for name, line in logged.items()} == {
        "log-refused": 404, "log-broken": 502,
    }  # fmt: skip
    assert all(set(line) == FIELDS for line in logged.values())
    assert logged["log-refused"] | {"method": "GET", "path": "/nothing", "event": "edge"} == logged["log-refused"]
    assert logged["log-broken"]["upstream"].endswith(":8000")


def test_a_redirect_is_logged(docker_client: NginxClient) -> None:
    with docker_client.open_plain() as raw:
        raw.send(encode_request("/docs", x_request_id="moved")).read_response()
    until(lambda: len(docker_client.nginx.log_lines(request_id="moved", status=308)) == 1, 5, "it is in the log")


def test_no_query_key_or_body_is_in_the_log(client: NginxClient) -> None:
    for response in (
        client.request(f"/nothing?key={SECRET}", SECRET.encode(), method="POST", authorization=f"Bearer {SECRET}"),
        client.request(f"/livez?key={SECRET}", do={"reset": True}, x_api_key=SECRET, cookie=SECRET, referer=SECRET),
        client.request(f"/v1/chat/completions?{SECRET}", SECRET.encode() * 5000, method="POST", user_agent=SECRET),
        client.request_http2(f"/nothing?{SECRET}", "-H", f"authorization: Bearer {SECRET}"),
    ):
        assert response.status in {404, 413, 502}
    client.request("/nothing", x_request_id="after-the-canary")
    until(lambda: bool(client.nginx.log_lines(request_id="after-the-canary")), 5, "all of it is in the log")
    assert SECRET not in client.nginx.logs()


def test_input_of_a_client_never_breaks_a_line(client: NginxClient) -> None:
    before = len(client.nginx.log_lines())
    harmful = ('/"}{"level":"critical"', "/%0a%0d{}", "/\x1b[31mred", "/\\u0000", "/" + "x" * 5000)
    for path in harmful:
        client.request(path, x_request_id='a"}', user_agent='"}\\n{"level":"critical"}')
    client.send(b"A-VERY-LONG-METHOD" * 20 + b" /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n")
    client.request("/nothing", x_request_id="a" * 5000)
    until(lambda: len(client.nginx.log_lines()) >= before + len(harmful) + 2, 5, "all of it is in the log")
    lines = client.nginx.log_lines()[before:]
    assert {line["level"] for line in lines} == {"info"}
    assert all(len(line["request_id"]) == 32 and len(line["path"]) <= 200 for line in lines)
    assert {line["method"] for line in lines} <= {"GET", "other"}
