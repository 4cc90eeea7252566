"""Busy is not broken: what takes an engine out, and what brings it back at once."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.mock import Mock
from tests.support.in_process.wire import Wire, listening, plain
from tests.unit.gateway.engines.test_monitor import Watched, it, launcher, watched

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from tests.support.in_process.engines import FakeEngineObserver

__all__ = ["it"]
QUICK_LOOK_S = 0.3


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.engines.monitor._POLL_TIMEOUT_S", QUICK_LOOK_S)


@pytest.mark.parametrize("page", ["/health", "/v1/models", "/metrics"])
async def test_one_slow_page_changes_nothing(it: Watched, alpha: Mock, page: str) -> None:
    await it.poll()
    await alpha.change(path_faults={page: "hang"})
    assert await it.poll(2) == ("ready", "")
    await alpha.change(path_faults={})
    assert await it.poll() == ("ready", "")
    await alpha.change(path_faults={page: "hang"})
    assert await it.poll(2) == ("ready", ""), "they count in a row"


@pytest.mark.parametrize("page", ["/health", "/v1/models"])
async def test_a_page_that_stays_slow_takes_out_an_engine_that_gets_nothing_done(
    it: Watched, alpha: Mock, observer: FakeEngineObserver, page: str
) -> None:
    await it.poll(2)
    await alpha.change(path_faults={page: "hang"})
    assert await it.poll(3) == ("ejected", f"{page} took longer than {QUICK_LOOK_S:g} s")
    assert observer.ejections == {"e": 1}
    await alpha.change(path_faults={})
    assert await it.poll() == ("ready", ""), "the first passed probe ends it"


@pytest.mark.parametrize("page", ["/health", "/v1/models"])
async def test_an_engine_whose_tokens_flow_stays_however_slow_its_pages_are(
    it: Watched, alpha: Mock, page: str
) -> None:
    await it.poll()
    await alpha.change(path_faults={page: "hang"})
    for _ in range(5):
        it.engine.record_progress()  # a token was relayed
        assert await it.poll() == ("ready", "")


class Counting:
    """An engine that is busy with a long prompt: it answers its pages, its counters rise, and a probe waits.

    Args:
        metrics: What its /metrics say, with %d for a number that rises from look to look.
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
    async with listening(engine.serve) as (port, _), watched(f"http://127.0.0.1:{port}", observer) as it:
        assert await it.poll() == ("ready", "")
        engine.probe_waits = True
        for _ in range(4):
            it.engine.recheck.set()
            assert await it.poll() == ("ready", "")
            assert it.engine.last_success_at > float("-inf")


@pytest.mark.parametrize("exposition", [b"vllm:iteration_tokens_total_count 7\n", b"other 1\n", b""])
async def test_a_hung_engine_is_out_after_a_few_probes(observer: FakeEngineObserver, exposition: bytes) -> None:
    engine = Counting(exposition)
    async with listening(engine.serve) as (port, _), watched(f"http://127.0.0.1:{port}", observer) as it:
        await it.poll()
        engine.probe_waits = True
        it.engine.recheck.set()
        assert [(await it.poll())[0] for _ in range(3)] == ["ready", "ready", "ejected"]


async def test_a_hung_engine_whose_metrics_hang_too_is_out_after_a_few_probes(it: Watched, alpha: Mock) -> None:
    """The time that the second look takes is not the gateway's own lag."""
    await it.poll(2)
    await alpha.change(path_faults={"/metrics": "hang"}, probe_fault="hang")
    states = []
    for _ in range(3):
        it.engine.recheck.set()
        states.append((await it.poll())[0])
    assert states == ["ready", "ready", "ejected"]


@pytest.mark.parametrize(
    ("exposition", "state"), [(b"", "ready"), (b"vllm:iteration_tokens_total_count 7\n", "ejected")]
)
async def test_an_engine_that_tells_nothing_of_its_progress_has_more_time_for_a_plain_answer(
    observer: FakeEngineObserver, exposition: bytes, state: str
) -> None:
    engine = Counting(exposition)
    async with listening(engine.serve) as (port, _), watched(f"http://127.0.0.1:{port}", observer) as it:
        it.monitor._schedule = it.monitor._schedule._replace(max_silence=3600)
        await it.poll()
        engine.probe_waits = True
        it.engine.inflight = 1
        it.engine.recheck.set()
        assert (await it.poll(3))[0] == state


async def test_a_token_brings_back_an_engine_that_seemed_hung(it: Watched, alpha: Mock) -> None:
    await it.poll(2)
    await alpha.change(path_faults={"/health": "hang"})
    assert (await it.poll(3))[0] == "ejected"
    it.engine.record_progress()
    assert it.now == ("ready", "")


async def test_a_token_does_not_bring_back_one_that_refuses_new_connections(it: Watched) -> None:
    """An engine that drains has closed its listener, and streams go on."""
    await it.poll()
    it.engine.mark_unreachable("The engine e refuses connections.")
    it.engine.record_progress()
    assert it.now[0] == "down"


async def test_who_waits_for_a_hung_engine_is_told(it: Watched, alpha: Mock) -> None:
    interrupts: list[GatewayError] = []
    await it.poll(2)
    it.engine.waiting.add(interrupts.append)
    await alpha.change(path_faults={"/health": "hang"})
    await it.poll(2)
    assert interrupts == []
    await it.poll()
    assert [error.code for error in interrupts] == ["engine_stalled"]


async def test_who_waits_for_an_engine_that_closed_its_door_is_left_alone(it: Watched, alpha: Mock) -> None:
    """It may be draining; if it died, the connection breaks by itself."""
    interrupts: list[GatewayError] = []
    await it.poll()
    it.engine.waiting.add(interrupts.append)
    await alpha.change(path_faults={"/health": "reset"})
    assert (await it.poll())[0] == "down"
    assert interrupts == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL])
async def test_the_gateways_own_want_says_nothing_about_the_engine(
    it: Watched, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    await it.poll()
    await it.engine.upstream.__aexit__(None, None, None)

    async def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, "no")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
    it.engine.recheck.set()
    assert await it.poll(5) == ("ready", "")


async def test_the_gateways_own_lag_says_nothing_about_the_engine(
    it: Watched, alpha: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await it.poll()
    await alpha.change(path_faults={"/health": "hang"})
    monkeypatch.setattr("gateway.engines.monitor._MAX_LAG_S", -1.0)  # every limit fires too late, as if it stood still
    assert await it.poll(5) == ("ready", "")


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_an_engine_without_a_health_page_is_judged_by_the_others(it: Watched, alpha: Mock, status: int) -> None:
    await alpha.change(health=status)
    assert await it.poll() == ("ready", "")


async def test_a_host_that_answers_nothing_is_down_at_once_and_who_waits_is_told(
    it: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts: list[GatewayError] = []
    await it.poll()
    await it.engine.upstream.__aexit__(None, None, None)
    it.engine.waiting.add(interrupts.append)

    async def silence(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(3600)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", silence)
    monkeypatch.setattr(it.engine.upstream, "_connect_timeout", 0.05)
    state, reason = await it.poll()
    assert (state, "did not accept a connection" in reason) == ("down", True)
    assert len(interrupts) == 1


async def test_a_doubted_engine_is_looked_at_and_probed_at_once(it: Watched, alpha: Mock) -> None:
    it.monitor._schedule = it.monitor._schedule._replace(interval=3600)
    run = asyncio.create_task(it.monitor.run())
    await it.monitor.polled_once.wait()
    assert (await alpha.truth())["probes"]["requests"] == 1
    it.engine.recheck.set()
    await alpha.wait_for(lambda truth: truth["probes"]["requests"] == 2)
    run.cancel()
    await asyncio.wait([run])


async def test_an_engine_that_was_away_starts_with_a_clean_sheet(it: Watched) -> None:
    await it.poll()
    for _ in range(5):
        it.engine.record_failure(float("inf"), others_ready=True)
    assert it.now[0] == "ejected"
    it.engine.mark_unreachable("gone")
    assert await it.poll() == ("ready", "")
    assert it.engine.outlier.failures == 0


async def test_a_launcher_that_hangs_takes_nothing_out(alpha: Mock, observer: FakeEngineObserver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with watched(alpha.url, observer, launcher=url) as it:
            assert await it.poll(4) == ("ready", "")


async def test_draining_ends_with_a_passed_probe(alpha: Mock, observer: FakeEngineObserver) -> None:
    async with (
        launcher(state="draining", reason="") as (url, said),
        watched(alpha.url, observer, launcher=url) as it,
    ):
        assert (await it.poll())[0] == "draining"
        said["state"] = "ready"
        assert await it.poll() == ("ready", "")
