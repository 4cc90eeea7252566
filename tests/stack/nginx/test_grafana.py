"""Grafana behind /grafana/: a fake here, since no package has the real one."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.support.compose.stack import docker, until
from tests.support.nginx.client import NginxClient, encode_request, parse_error
from tests.support.nginx.containers import FakeUpstream, Sandbox

LIVE = "/grafana/api/live/ws"
UPGRADE = {"upgrade": "websocket", "connection": "Upgrade", "origin": "https://localhost"}


@pytest.fixture(scope="module")
def grafana_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NginxClient, FakeUpstream]]:
    """A client of an nginx with both behind it, and the fake Grafana."""
    with ExitStack() as exits:
        sandbox = Sandbox.create(tmp_path_factory.mktemp("grafana"), exits)
        sandbox.upstream()
        grafana = sandbox.upstream("grafana", 3000)
        client = NginxClient(sandbox.nginx(MAX_BODY_BYTES="2000"), sandbox.tls / "cert.pem")
        until(lambda: client.is_served("/grafana/"), 30, "Grafana is found")
        yield client, grafana


def test_its_pages_keep_their_prefix(grafana_proxy: tuple[NginxClient, FakeUpstream]) -> None:
    client, grafana = grafana_proxy
    response = client.request(
        "/grafana/d/overview?orgId=1", cookie="grafana_session=a", origin="https://localhost:8443"
    )
    received = json.loads(response.body)
    assert received["target"] == "/grafana/d/overview?orgId=1"
    assert dict(received["headers"])["cookie"] == "grafana_session=a"
    assert dict(received["headers"])["host"] == "localhost"
    assert grafana.requests("/grafana/d/overview")
    moved = client.request("/grafana")
    assert (moved.status, moved.headers["location"]) == (308, "/grafana/")


def test_its_live_channel_is_a_websocket(grafana_proxy: tuple[NginxClient, FakeUpstream]) -> None:
    client, _ = grafana_proxy
    with client.open_tls() as raw:
        raw.send(encode_request(LIVE, b"", method="GET", do={"upgrade": True}, **UPGRADE)).read_until(b"\r\n\r\n")
        assert raw.received.startswith(b"HTTP/1.1 101 ")
        raw.send(b"hello").read_until(b"HELLO")


def test_no_other_path_is_upgraded(grafana_proxy: tuple[NginxClient, FakeUpstream]) -> None:
    client, _ = grafana_proxy
    for path in ("/v1/chat/completions", "/grafana/", "/livez"):
        headers = dict(json.loads(client.request(path, b"", method="GET", do=None, **UPGRADE).body)["headers"])
        assert not {"upgrade", "connection"} & set(headers)


def test_its_bodies_have_a_limit_of_their_own(grafana_proxy: tuple[NginxClient, FakeUpstream]) -> None:
    client, _ = grafana_proxy
    assert client.request("/grafana/api/dashboards/db", b"a" * 50_000, method="POST").status == 200
    with client.open_tls() as raw:
        raw.send(encode_request("/grafana/api/ds/query", method="POST", content_length=str(10 * 2**20 + 1)))
        large = raw.read_response()
    assert parse_error(large) == (413, "request_too_large")
    assert str(10 * 2**20) in json.loads(large.body)["error"]["message"]


def test_a_missing_grafana_does_not_affect_the_api(grafana_proxy: tuple[NginxClient, FakeUpstream]) -> None:
    client, grafana = grafana_proxy
    docker("rm", "-f", grafana.id)
    until(
        lambda: parse_error(client.request("/grafana/")) == (502, "grafana_unavailable"), 15, "Grafana's name is gone"
    )
    assert client.request("/livez").status == 200
    assert client.request("/grafana/").headers["retry-after"] == "5"
