"""Grafana behind /grafana/: a stand-in for it here, as no package has the real one."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.support.compose.stack import docker, until
from tests.support.nginx.edge import Place, StandIn
from tests.support.nginx.talk import Client, encode_request, refusal

LIVE = "/grafana/api/live/ws"
UPGRADE = {"upgrade": "websocket", "connection": "Upgrade", "origin": "https://localhost"}


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, StandIn]]:
    """A client of an nginx with both behind it, and Grafana's stand-in."""
    with ExitStack() as exits:
        place = Place.make(tmp_path_factory.mktemp("grafana"), exits)
        place.stand_in()
        grafana = place.stand_in("grafana", 3000)
        client = Client(place.edge(MAX_BODY_BYTES="2000"), place.tls / "cert.pem")
        until(lambda: client.ask("/grafana/").status == 200, 10, "Grafana is found")
        yield client, grafana


def test_its_pages_keep_their_prefix(around: tuple[Client, StandIn]) -> None:
    client, grafana = around
    response = client.ask("/grafana/d/overview?orgId=1", cookie="grafana_session=a", origin="https://localhost:8443")
    seen = json.loads(response.body)
    assert seen["target"] == "/grafana/d/overview?orgId=1"
    assert dict(seen["headers"])["cookie"] == "grafana_session=a"
    assert dict(seen["headers"])["host"] == "localhost"
    assert grafana.came("/grafana/d/overview")
    moved = client.ask("/grafana")
    assert (moved.status, moved.headers["location"]) == (308, "/grafana/")


def test_its_live_channel_is_a_websocket(around: tuple[Client, StandIn]) -> None:
    client, _ = around
    with client.open() as raw:
        raw.send(encode_request(LIVE, b"", method="GET", do={"upgrade": True}, **UPGRADE)).read_until(b"\r\n\r\n")
        assert raw.received.startswith(b"HTTP/1.1 101 ")
        raw.send(b"hello").read_until(b"HELLO")


def test_nothing_else_becomes_more_than_http(around: tuple[Client, StandIn]) -> None:
    client, _ = around
    for path in ("/v1/chat/completions", "/grafana/", "/livez"):
        headers = dict(json.loads(client.ask(path, b"", method="GET", do=None, **UPGRADE).body)["headers"])
        assert not {"upgrade", "connection"} & set(headers)


def test_its_bodies_have_a_limit_of_their_own(around: tuple[Client, StandIn]) -> None:
    client, _ = around
    assert client.ask("/grafana/api/dashboards/db", b"a" * 50_000, method="POST").status == 200
    with client.open() as raw:
        raw.send(encode_request("/grafana/api/ds/query", method="POST", content_length=str(10 * 2**20 + 1)))
        large = raw.read_response()
    assert refusal(large) == (413, "request_too_large")
    assert str(10 * 2**20) in json.loads(large.body)["error"]["message"]


def test_its_absence_is_told_and_the_api_does_not_notice(around: tuple[Client, StandIn]) -> None:
    client, grafana = around
    docker("rm", "-f", grafana.id)
    until(lambda: refusal(client.ask("/grafana/")) == (502, "grafana_unavailable"), 15, "Grafana's name is gone")
    assert client.ask("/livez").status == 200
    assert client.ask("/grafana/").headers["retry-after"] == "5"
