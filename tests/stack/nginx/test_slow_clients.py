"""Clients that send one byte at a time, or none. The fixture `slow` starts most with the first test of this folder."""

import contextlib
from concurrent.futures import Future
from typing import Any

import pytest
from tests.support.compose.stack import docker, until
from tests.support.nginx.edge import Place, StandIn
from tests.support.nginx.talk import Client, encode_request, refusal

Slow = dict[str, Future[Any]]


@pytest.mark.timing
def test_a_head_that_does_not_end_is_given_ten_seconds(slow: Slow) -> None:
    assert 9 < slow["slow_head"].result() < 13
    assert 9 < slow["no_head"].result() < 13


@pytest.mark.timing
def test_a_body_that_stops_is_given_twenty(slow: Slow) -> None:
    assert 19 < slow["half_a_body"].result() < 24


def test_the_log_says_408_and_the_gateway_saw_no_whole_request(
    slow: Slow, docker_client: Client, gateway: StandIn
) -> None:
    assert slow["half_a_body"].result()
    until(lambda: len(docker_client.edge.lines(status=408)) >= 2, 5, "both stand in the log")
    assert {line["path"] for line in docker_client.edge.lines(status=408)} == {"/livez", "/v1/chat/completions"}
    assert gateway.came("slow") == []


def test_a_health_check_does_not_wait_for_ever(slow: Slow) -> None:
    assert refusal(slow["hanging_health"].result()) == (504, "gateway_timeout")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/grafana/login"])
def test_uploads_that_do_not_end_fill_nothing(place: Place, path: str) -> None:
    """A body that was collected here would take what there is: /tmp is memory, and small."""
    place.stand_in()
    place.stand_in("grafana", 3000)
    edge = place.edge("--tmpfs=/tmp:size=4m", RATE_LIMIT_RPS="0")
    client = Client(edge, place.tls / "cert.pem")
    until(lambda: client.ask("/livez").status == 200, 10, "the gateway is found")
    chunk = b"a" * 200_000
    with contextlib.ExitStack() as open_ones:
        for _ in range(40):
            raw = open_ones.enter_context(client.open())
            raw.send(encode_request(path, method="POST", content_length="10000000"))
            for _ in range(5):
                raw.send(chunk)
        files = docker("exec", edge.id, "find", "/tmp/nginx", "-type", "f", "-size", "+64k")  # noqa: S108 - in the container
        assert files == ""
        assert client.ask("/livez").status == 200
        whole = client.ask("/v1/chat/completions", chunk * 10, method="POST")
        assert whole.status == 200
