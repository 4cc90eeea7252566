"""Busy is not broken: what takes an engine out, and what brings it back at once."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock
from tests.support.in_process.wire import Wire, listening, plain
from tests.unit.gateway.engines.test_monitor import MonitoredEngine, launcher, monitored, monitoring

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from tests.support.in_process.engines import FakeEngineObserver

__all__ = ["monitored"]
POLL_TIMEOUT_S = 0.3


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.engines.monitor._POLL_TIMEOUT_S", POLL_TIMEOUT_S)


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/metrics"])
async def test_one_slow_page_changes_nothing(monitored: MonitoredEngine, alpha: Mock, path: str) -> None:
    await monitored.poll()
    await alpha.change(path_faults={path: "hang"})
    assert await monitored.poll(2) == ("ready", "")
    await alpha.change(path_faults={})
    assert await monitored.poll() == ("ready", "")
    await alpha.change(path_faults={path: "hang"})
    assert await monitored.poll(2) == ("ready", ""), "they count in a row"


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
async def test_an_endpoint_that_stays_slow_ejects_an_engine_without_progress(
    monitored: MonitoredEngine, alpha: Mock, observer: FakeEngineObserver, path: str
) -> None:
    await monitored.poll(2)
    await alpha.change(path_faults={path: "hang"})
    assert await monitored.poll(3) == ("ejected", f"{path} took longer than {POLL_TIMEOUT_S:g} s")
    assert observer.ejections == {"e": 1}
    await alpha.change(path_faults={})
    assert await monitored.poll() == ("ready", ""), "the first passed probe ends it"


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
async def test_an_engine_whose_tokens_flow_stays_however_slow_its_endpoints_are(
    monitored: MonitoredEngine, alpha: Mock, path: str
) -> None:
    await monitored.poll()
    await alpha.change(path_faults={path: "hang"})
    for _ in range(5):
        monitored.engine.record_progress()  # a token was relayed
        assert await monitored.poll() == ("ready", "")


class Counting:
    """An engine that is busy with a long prompt: its endpoints respond, its counters rise, and a probe waits.

    Args:
        metrics: What its /metrics say, with %d for a number that rises from poll to poll.
    """

    def __init__(self, metrics: bytes) -> None:
        self.metrics, self.steps, self.probe_waits = metrics, 0, False

    async def serve(self, wire: Wire) -> None:
        while True:
            body = await wire.message()
            path = wire.head.split(b" ")[1]
            if path == b"/metrics":
                self.steps += 1
                await wire.send(plain(self.metrics % self.steps if b"%d" in self.metrics else self.metrics))
            elif path == b"/v1/models":
                await wire.send(plain(b'{"data":[{"id":"m","owned_by":"vllm"}]}'))
            elif body and self.probe_waits:
                await wire.gone()
                return
            else:
                await wire.send(plain(b'{"choices":[]}'))


@pytest.mark.parametrize(
    "exposition",
    [
        b'vllm:iteration_tokens_total_count{engine="0"} %d\n',
        b"vllm:prompt_tokens_total %d\n",
        b"llamacpp:n_decode_total %d\n",
    ],
)
async def test_an_engine_whose_own_counters_rise_stays_though_its_probe_waits(
    observer: FakeEngineObserver, exposition: bytes
) -> None:
    engine = Counting(exposition)
    async with listening(engine.serve) as (port, _), monitoring(f"http://127.0.0.1:{port}", observer) as monitored:
        assert await monitored.poll() == ("ready", "")
        engine.probe_waits = True
        for _ in range(4):
            monitored.engine.recheck.set()
            assert await monitored.poll() == ("ready", "")
            assert monitored.engine.last_success_at > float("-inf")


@pytest.mark.parametrize("exposition", [b"vllm:iteration_tokens_total_count 7\n", b"other 1\n", b""])
async def test_a_hung_engine_is_ejected_after_three_probes(observer: FakeEngineObserver, exposition: bytes) -> None:
    engine = Counting(exposition)
    async with listening(engine.serve) as (port, _), monitoring(f"http://127.0.0.1:{port}", observer) as monitored:
        await monitored.poll()
        engine.probe_waits = True
        monitored.engine.recheck.set()
        assert [(await monitored.poll())[0] for _ in range(3)] == ["ready", "ready", "ejected"]


async def test_a_hung_engine_whose_metrics_hang_too_is_ejected_after_three_probes(
    monitored: MonitoredEngine, alpha: Mock
) -> None:
    """The time that the second check takes is not the gateway's own lag."""
    await monitored.poll(2)
    await alpha.change(path_faults={"/metrics": "hang"}, probe_fault="hang")
    states = []
    for _ in range(3):
        monitored.engine.recheck.set()
        states.append((await monitored.poll())[0])
    assert states == ["ready", "ready", "ejected"]


@pytest.mark.parametrize(
    ("exposition", "state"), [(b"", "ready"), (b"vllm:iteration_tokens_total_count 7\n", "ejected")]
)
async def test_an_engine_without_counters_has_more_time_for_a_non_streamed_response(
    observer: FakeEngineObserver, exposition: bytes, state: str
) -> None:
    engine = Counting(exposition)
    async with listening(engine.serve) as (port, _), monitoring(f"http://127.0.0.1:{port}", observer) as monitored:
        monitored.monitor._schedule = monitored.monitor._schedule._replace(max_silence=3600)
        await monitored.poll()
        engine.probe_waits = True
        monitored.engine.inflight = 1
        monitored.engine.recheck.set()
        assert (await monitored.poll(3))[0] == state


async def test_a_token_brings_back_an_engine_that_seemed_hung(monitored: MonitoredEngine, alpha: Mock) -> None:
    await monitored.poll(2)
    await alpha.change(path_faults={"/health": "hang"})
    assert (await monitored.poll(3))[0] == "ejected"
    monitored.engine.record_progress()
    assert monitored.now == ("ready", "")


async def test_a_token_does_not_bring_back_one_that_refuses_new_connections(monitored: MonitoredEngine) -> None:
    """An engine that drains has closed its listener, and streams go on."""
    await monitored.poll()
    monitored.engine.mark_unreachable("The engine e refuses connections.")
    monitored.engine.record_progress()
    assert monitored.now[0] == "down"


async def test_requests_that_wait_for_a_hung_engine_are_interrupted(monitored: MonitoredEngine, alpha: Mock) -> None:
    interrupts: list[GatewayError] = []
    await monitored.poll(2)
    monitored.engine.waiting.add(interrupts.append)
    await alpha.change(path_faults={"/health": "hang"})
    await monitored.poll(2)
    assert interrupts == []
    await monitored.poll()
    assert [error.code for error in interrupts] == ["engine_stalled"]


async def test_requests_that_wait_for_an_engine_that_refuses_connections_are_left_alone(
    monitored: MonitoredEngine, alpha: Mock
) -> None:
    """It may be draining; if it died, the connection breaks by itself."""
    interrupts: list[GatewayError] = []
    await monitored.poll()
    monitored.engine.waiting.add(interrupts.append)
    await alpha.change(path_faults={"/health": "reset"})
    assert (await monitored.poll())[0] == "down"
    assert interrupts == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL])
async def test_the_gateways_own_want_says_nothing_about_the_engine(
    monitored: MonitoredEngine, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    await monitored.poll()
    await monitored.engine.upstream.__aexit__(None, None, None)

    async def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, "no")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
    monitored.engine.recheck.set()
    assert await monitored.poll(5) == ("ready", "")


async def test_the_gateways_own_lag_says_nothing_about_the_engine(
    monitored: MonitoredEngine, alpha: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await monitored.poll()
    await alpha.change(path_faults={"/health": "hang"})
    monkeypatch.setattr("gateway.engines.monitor._MAX_LAG_S", -1.0)  # every limit fires too late, as if it stood still
    assert await monitored.poll(5) == ("ready", "")


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_an_engine_without_a_health_endpoint_is_judged_by_the_others(
    monitored: MonitoredEngine, alpha: Mock, status: int
) -> None:
    await alpha.change(health=status)
    assert await monitored.poll() == ("ready", "")


async def test_a_host_that_does_not_respond_is_down_at_once_and_requests_are_interrupted(
    monitored: MonitoredEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts: list[GatewayError] = []
    await monitored.poll()
    await monitored.engine.upstream.__aexit__(None, None, None)
    monitored.engine.waiting.add(interrupts.append)

    async def silence(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(3600)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", silence)
    monkeypatch.setattr(monitored.engine.upstream, "_connect_timeout", 0.05)
    state, reason = await monitored.poll()
    assert (state, "did not accept a connection" in reason) == ("down", True)
    assert len(interrupts) == 1


async def test_a_recheck_polls_and_probes_at_once(monitored: MonitoredEngine, alpha: Mock) -> None:
    monitored.monitor._schedule = monitored.monitor._schedule._replace(interval=3600)
    run = asyncio.create_task(monitored.monitor.run())
    await monitored.monitor.polled_once.wait()
    assert (await alpha.truth())["probes"]["requests"] == 1
    monitored.engine.recheck.set()
    await alpha.wait_for(lambda truth: truth["probes"]["requests"] == 2)
    run.cancel()
    await asyncio.wait([run])


async def test_the_failures_of_an_engine_that_was_away_are_forgotten(monitored: MonitoredEngine) -> None:
    await monitored.poll()
    for _ in range(5):
        monitored.engine.record_failure(float("inf"), others_ready=True)
    assert monitored.now[0] == "ejected"
    monitored.engine.mark_unreachable("gone")
    assert await monitored.poll() == ("ready", "")
    assert monitored.engine.outlier.failures == 0


async def test_a_launcher_that_hangs_ejects_nothing(alpha: Mock, observer: FakeEngineObserver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with monitoring(alpha.url, observer, launcher=url) as monitored:
            assert await monitored.poll(4) == ("ready", "")


async def test_draining_ends_with_a_passed_probe(alpha: Mock, observer: FakeEngineObserver) -> None:
    async with (
        launcher(state="draining", reason="") as (url, report),
        monitoring(alpha.url, observer, launcher=url) as monitored,
    ):
        assert (await monitored.poll())[0] == "draining"
        report["state"] = "ready"
        assert await monitored.poll() == ("ready", "")
