"""Clients that send one byte at a time, or none. The fixture `slow` starts them with the first test of this folder."""

from concurrent.futures import Future
from typing import Any

from tests.stack.nginx.parts.edge import StandIn
from tests.stack.nginx.parts.talk import Client, refusal
from tests.stack.parts.stack import until

Slow = dict[str, Future[Any]]


def test_a_head_that_does_not_end_is_given_ten_seconds(slow: Slow) -> None:
    assert 9 < slow["slow_head"].result() < 13
    assert 9 < slow["no_head"].result() < 13


def test_a_body_that_stops_is_given_twenty(slow: Slow) -> None:
    assert 19 < slow["half_a_body"].result() < 24


def test_the_log_says_408_and_the_gateway_saw_nothing(slow: Slow, docker_client: Client, gateway: StandIn) -> None:
    assert slow["half_a_body"].result()
    until(lambda: len(docker_client.edge.lines(status=408)) >= 2, 5, "both stand in the log")
    assert {line["path"] for line in docker_client.edge.lines(status=408)} == {"/livez", "/v1/chat/completions"}
    assert gateway.came("slow") == []


def test_a_health_check_does_not_wait_for_ever(slow: Slow) -> None:
    assert refusal(slow["hanging_health"].result()) == (504, "gateway_timeout")
