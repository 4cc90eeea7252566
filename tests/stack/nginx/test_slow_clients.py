"""Clients that send one byte at a time, or none. Most start with the first test of this folder: `slow_clients`."""

import contextlib
from concurrent.futures import Future
from typing import Any

import pytest
from tests.support.compose.stack import docker, until
from tests.support.nginx.client import NginxClient, encode_request, parse_error
from tests.support.nginx.containers import FakeUpstream, Sandbox

Slow = dict[str, Future[Any]]


@pytest.mark.timing
def test_an_incomplete_head_times_out_after_ten_seconds(slow_clients: Slow) -> None:
    assert 9 < slow_clients["slow_head"].result() < 13
    assert 9 < slow_clients["no_head"].result() < 13


@pytest.mark.timing
def test_an_incomplete_body_times_out_after_twenty_seconds(slow_clients: Slow) -> None:
    assert 19 < slow_clients["half_a_body"].result() < 24


def test_the_log_says_408_and_the_gateway_saw_no_whole_request(
    slow_clients: Slow, docker_client: NginxClient, upstream: FakeUpstream
) -> None:
    assert slow_clients["half_a_body"].result()
    until(lambda: len(docker_client.nginx.log_lines(status=408)) >= 2, 5, "both stand in the log")
    assert {line["path"] for line in docker_client.nginx.log_lines(status=408)} == {"/livez", "/v1/chat/completions"}
    assert upstream.requests("slow") == []


def test_a_health_check_times_out(slow_clients: Slow) -> None:
    assert parse_error(slow_clients["hanging_health"].result()) == (504, "gateway_timeout")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/grafana/login"])
def test_incomplete_uploads_are_not_buffered(sandbox: Sandbox, path: str) -> None:
    """A body that was collected here would take what there is: /tmp is memory, and small."""
    sandbox.upstream()
    sandbox.upstream("grafana", 3000)
    nginx = sandbox.nginx("--tmpfs=/tmp:size=4m", RATE_LIMIT_RPS="0")
    client = NginxClient(nginx, sandbox.tls / "cert.pem")
    until(client.is_served, 30, "the gateway is found")
    chunk = b"a" * 200_000
    with contextlib.ExitStack() as open_ones:
        for _ in range(40):
            raw = open_ones.enter_context(client.open_tls())
            raw.send(encode_request(path, method="POST", content_length="10000000"))
            for _ in range(5):
                raw.send(chunk)
        files = docker("exec", nginx.id, "find", "/tmp/nginx", "-type", "f", "-size", "+64k")  # noqa: S108 - in the container
        assert files == ""
        assert client.request("/livez").status == 200
        whole = client.request("/v1/chat/completions", chunk * 10, method="POST")
        assert whole.status == 200
