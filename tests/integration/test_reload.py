"""HUP under load replaces the workers and loses no request; TERM ends the gateway promptly; USR2 is refused."""

import asyncio
import signal
from collections.abc import Callable

import pytest
from tests.integration.ledger.workers import wait_all_up
from tests.support.gateway import Gateway
from tests.support.http.connection import RawConnection
from tests.support.http.keep_alive_load import KeepAliveLoad
from tests.support.http.message import encode_request
from tests.support.program import until
from tests.support.services import Services


@pytest.fixture
def gateway(services: Services) -> Gateway:
    """A gateway with one mock engine."""
    return services.gateway(services.mock())


async def reload_under_load(gateway: Gateway, clients: KeepAliveLoad, *, reloads: int, requests: int) -> None:
    """Replaces the workers this often, at regular intervals, while the clients send at least this many requests."""
    done = 0

    def is_enough() -> bool:
        return done == reloads and clients.outcomes.answered >= requests

    load = asyncio.create_task(clients.run(is_enough))
    while done < reloads:
        due = requests * (done + 1) // (reloads + 1)
        await asyncio.to_thread(
            until,
            lambda: clients.outcomes.answered >= due or load.done(),  # noqa: B023 - awaited at once
            300,
            "requests continue",
        )
        old = await wait_all_up(gateway)
        gateway.program.send(signal.SIGHUP)
        await wait_all_up(gateway, without=old)
        done += 1
    await load


def check(clients: KeepAliveLoad, *, reloads: int, requests: int, measured: Callable[[str], None]) -> None:
    outcomes = clients.outcomes
    measured(
        f"reloads: {reloads}, requests answered: {outcomes.answered}, lost: {len(outcomes.lost)}; connections whose "
        f"last response announced the close: {outcomes.announced}, closed while idle: {outcomes.closed}"
    )
    assert outcomes.lost == []
    assert outcomes.answered >= requests
    assert outcomes.announced > 0


def test_a_reload_loses_no_request_on_connections_that_are_reused_after_a_stream(
    gateway: Gateway, measured: Callable[[str], None]
) -> None:
    clients = KeepAliveLoad(gateway, plain=4, streaming=12, stream_s=1.6)
    asyncio.run(reload_under_load(gateway, clients, reloads=2, requests=1_500))
    check(clients, reloads=2, requests=1_500, measured=measured)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", [1, 2])
def test_ten_reloads_lose_none_of_50_000_requests(
    services: Services, workers: int, measured: Callable[[str], None]
) -> None:
    gateway = services.gateway(services.mock(), workers=workers)
    clients = KeepAliveLoad(gateway, plain=16, streaming=32, stream_s=1.7)
    asyncio.run(reload_under_load(gateway, clients, reloads=10, requests=50_000))
    check(clients, reloads=10, requests=50_000, measured=measured)


def test_a_stop_ends_promptly_however_many_connections_are_idle(gateway: Gateway) -> None:
    idle = [RawConnection(gateway.port) for _ in range(50)]
    for raw in idle:
        assert raw.send(encode_request("/livez", method="GET")).read_response().status == 200
    gateway.program.send(signal.SIGTERM)
    assert gateway.program.wait(20) == 0, "it must not wait for the end of the grace period of 30 s"
    for raw in idle:
        assert raw.read() == b""
        raw.socket.close()


def test_usr2_is_logged_as_unsupported_and_changes_nothing(gateway: Gateway) -> None:
    before = gateway.program.children()
    gateway.program.send(signal.SIGUSR2)
    until(lambda: any("USR2" in str(line) for line in gateway.lines()), 10, "the log says that USR2 is not supported")
    (line,) = [line for line in gateway.lines() if "USR2" in str(line)]
    assert (line["level"], "not supported" in line["message"]) == ("warning", True)
    assert gateway.is_up()
    assert gateway.program.children() == before
