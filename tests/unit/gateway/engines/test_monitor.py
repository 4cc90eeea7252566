"""The engine monitor: every state that an engine can be in, seen from outside."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.in_process.keys import NEW, OLD, engine_key
from tests.support.in_process.mock import Mock, mock_process
from tests.support.in_process.server import until
from tests.support.in_process.wire import Wire, listening, plain

from gateway.engines import Engine, EngineMonitor, PollSchedule
from gateway.engines.load import Load
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.in_process.engines import FakeEngineObserver

    from gateway.upstream import EngineKey

SCHEDULE = PollSchedule(interval=0.02, probe_interval=60, probe_timeout=1)


class MonitoredEngine:
    def __init__(
        self, url: str, observer: FakeEngineObserver, launcher: str | None = None, key: EngineKey | None = None
    ) -> None:
        self.observer = observer
        self.models_read: list[str] = []
        self.engine = Engine("e", Upstream("e", url, key=key, connect_timeout=5), observer)
        status = launcher and Upstream("l", launcher, key=None, connect_timeout=5)
        self.monitor = EngineMonitor(self.engine, status or None, SCHEDULE, self._record_models)

    def _record_models(self, engine: Engine) -> None:
        self.models_read += engine.models

    @property
    def now(self) -> tuple[str, str]:
        return self.engine.state, self.engine.reason

    async def poll(self, times: int = 1) -> tuple[str, str]:
        for _ in range(times):
            await self.monitor.poll()
        return self.now


@asynccontextmanager
async def monitoring(url: str, observer: FakeEngineObserver, **more: Any) -> AsyncIterator[MonitoredEngine]:
    monitored = MonitoredEngine(url, observer, **more)
    try:
        yield monitored
    finally:
        for upstream in monitored.monitor.upstreams:
            await upstream.__aexit__(None, None, None)


@pytest.fixture
async def monitored(alpha: Mock, observer: FakeEngineObserver) -> AsyncIterator[MonitoredEngine]:
    async with monitoring(alpha.url, observer) as made:
        yield made


@asynccontextmanager
async def launcher(**status: object) -> AsyncIterator[tuple[str, dict[str, object]]]:
    """A launcher's status port."""

    async def serve(wire: Wire) -> None:
        while True:
            await wire.until(b"\r\n\r\n")
            await wire.send(plain(json.dumps(status).encode()))

    async with listening(serve) as (port, _):
        yield f"http://127.0.0.1:{port}", status


async def test_before_the_first_poll(monitored: MonitoredEngine) -> None:
    assert monitored.now == ("starting", "not polled yet")
    assert not monitored.engine.ready


async def test_what_an_engine_is_and_serves_is_discovered(monitored: MonitoredEngine, alpha: Mock) -> None:
    await alpha.change(models=["base", {"id": "adapter", "parent": "base"}], running=3, waiting=2, kv_cache_usage=0.25)
    assert await monitored.poll() == ("ready", "")
    assert (monitored.engine.models, monitored.engine.kind, monitored.models_read) == (
        ("base", "adapter"),
        "vllm",
        ["base", "adapter"],
    )
    assert monitored.engine.load == Load(3, 2, 0.25)
    assert monitored.engine.aborts_on_disconnect
    assert (await alpha.truth())["probes"]["finished"] == 1


async def test_a_llama_cpp(llama: Mock, observer: FakeEngineObserver) -> None:
    async with monitoring(llama.url, observer) as monitored:
        assert await monitored.poll() == ("ready", "")
        assert monitored.engine.kind == "llama_cpp"
        assert not monitored.engine.aborts_on_disconnect
        await llama.change(health=503)
        assert await monitored.poll() == ("starting", "loading the model")


async def test_an_unknown_kind(alpha: Mock, monitored: MonitoredEngine) -> None:
    await alpha.change(owned_by="somebody")
    assert await monitored.poll() == ("ready", "")
    assert monitored.engine.kind == ""


async def test_nothing_listens(observer: FakeEngineObserver) -> None:
    with mock_process() as (_, port):
        pass
    async with monitoring(f"http://127.0.0.1:{port}", observer) as monitored:
        state, reason = await monitored.poll()
        assert state == "down"
        assert "refuses connections" in reason


async def test_an_engine_that_dies_and_comes_back_keeps_its_models_known(
    monitored: MonitoredEngine, alpha: Mock
) -> None:
    await monitored.poll()
    await alpha.change(path_faults={"/health": "reset"})
    assert (await monitored.poll())[0] == "down"
    assert monitored.engine.models == ("mock",)
    assert monitored.engine.last_success_at == float("-inf")
    await alpha.change(path_faults={})
    assert await monitored.poll() == ("ready", "")
    assert (await alpha.truth())["probes"]["finished"] == 2, "it must show again that it generates"


@pytest.mark.parametrize("status", [500, 503])
async def test_vllm_with_a_dead_engine_is_ejected_after_three_polls(
    monitored: MonitoredEngine, alpha: Mock, status: int
) -> None:
    assert await monitored.poll(2) == (
        "ready",
        "",
    )  # the second one sees the first one's probe in the engine's counters
    await alpha.change(health=status)
    assert [(await monitored.poll())[0] for _ in range(3)] == ["ready", "ready", "ejected"]
    assert monitored.now[1] == f"/health returned {status}"


@pytest.mark.parametrize("fault", ["status:500", "status:401", "html", "garbage", "reset"])
async def test_an_engine_that_does_not_list_its_models_is_down(
    monitored: MonitoredEngine, alpha: Mock, fault: str
) -> None:
    await alpha.change(path_faults={"/v1/models": fault})
    state, reason = await monitored.poll()
    assert state == "down"
    assert ("ENGINE_KEY_FILE" in reason) == (fault == "status:401")


@pytest.mark.parametrize("fault", ["status:500", "html", "garbage", "reset"])
async def test_an_engine_without_metrics_still_serves(monitored: MonitoredEngine, alpha: Mock, fault: str) -> None:
    """Load is for choosing well; an engine that generates is not taken out for the lack of it."""
    await alpha.change(path_faults={"/metrics": fault})
    assert await monitored.poll() == ("ready", "")


async def test_a_hanging_endpoint_times_out(
    monitored: MonitoredEngine, alpha: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engines.monitor._POLL_TIMEOUT_S", 0.2)
    await alpha.change(path_faults={"/health": "hang"})
    assert await monitored.poll() == ("down", "/health took longer than 0.2 s")


@pytest.mark.parametrize("fault", ["status:500", "html", "garbage", "reset"])
async def test_an_engine_that_fails_its_probe_is_ejected(
    monitored: MonitoredEngine, alpha: Mock, observer: FakeEngineObserver, fault: str
) -> None:
    await alpha.change(probe_fault=fault)
    for _ in range(3):
        assert (await monitored.poll())[0] == "ejected"
    assert observer.ejections == {"e": 1}
    await alpha.change(probe_fault=None)
    assert await monitored.poll() == ("ready", "")


async def test_an_engine_whose_probe_hangs_is_ejected(monitored: MonitoredEngine, alpha: Mock) -> None:
    await alpha.change(probe_fault="hang")
    assert await monitored.poll() == ("ejected", "no token within 1 s")  # it never was ready: there is nothing to lose
    assert (await alpha.wait_for(lambda truth: truth["probes"]["running"] == 0))["probes"]["cancelled"] == 1
    assert monitored.observer.probes == [("e", "timeout", None)]


async def test_a_slow_probe_is_forgiven_while_real_requests_get_tokens(monitored: MonitoredEngine, alpha: Mock) -> None:
    await monitored.poll()
    await alpha.change(probe_fault="hang")
    for _ in range(4):  # more than would take it out
        monitored.engine.recheck.set()
        asyncio.get_running_loop().call_later(0.3, monitored.engine.record_progress)
        assert await monitored.poll() == ("ready", "")


async def test_an_engine_is_probed_once_per_interval(monitored: MonitoredEngine, alpha: Mock) -> None:
    for _ in range(5):
        await monitored.poll()
    assert (await alpha.truth())["probes"]["requests"] == 1
    monitored.engine.last_success_at -= 61
    await monitored.poll()
    assert (await alpha.truth())["probes"]["requests"] == 2


async def test_a_passed_probe_does_not_readmit_an_engine_that_fails_requests(
    monitored: MonitoredEngine, alpha: Mock
) -> None:
    await monitored.poll(2)
    for _ in range(5):
        monitored.engine.record_failure(time.monotonic(), others_ready=True)
    monitored.engine.last_success_at -= 61
    assert (await monitored.poll(3))[0] == "ejected", "a probe cannot show what it was ejected for"
    assert (await alpha.truth())["probes"]["requests"] == 2, "but whether it generates is known"
    monitored.engine.record_success()
    assert await monitored.poll() == ("ready", "")


async def test_an_engine_that_only_embeds_is_probed_with_an_embedding(monitored: MonitoredEngine, alpha: Mock) -> None:
    await alpha.change(probe_fault="status:404")
    assert await monitored.poll() == ("ready", "")
    monitored.engine.last_success_at = float("-inf")
    assert await monitored.poll() == ("ready", "")
    assert (await alpha.truth())["probes"]["requests"] == 1, "what worked is asked first from then on"


@pytest.mark.parametrize("state", ["failed", "draining"])
async def test_the_launchers_state_takes_precedence(alpha: Mock, observer: FakeEngineObserver, state: str) -> None:
    async with (
        launcher(state=state, reason="out of memory") as (url, report),
        monitoring(alpha.url, observer, launcher=url) as monitored,
    ):
        assert await monitored.poll() == (state, "out of memory")
        assert (await alpha.truth())["probes"]["requests"] == 0
        report["state"] = "ready"
        assert await monitored.poll() == ("ready", "")


async def test_the_launchers_phase_is_shown_while_the_model_loads(observer: FakeEngineObserver) -> None:
    with mock_process() as (_, port):
        pass
    async with (
        launcher(state="starting", phase="loading weights") as (url, _),
        monitoring(f"http://127.0.0.1:{port}", observer, launcher=url) as monitored,
    ):
        assert await monitored.poll() == ("starting", "loading weights")


@pytest.mark.parametrize("status", [{}, {"state": "what"}, {"state": None, "phase": 7}])
async def test_a_launcher_that_reports_nonsense_is_ignored(
    alpha: Mock, observer: FakeEngineObserver, status: dict[str, object]
) -> None:
    async with launcher(**status) as (url, _), monitoring(alpha.url, observer, launcher=url) as monitored:
        assert await monitored.poll() == ("ready", "")
    async with monitoring(alpha.url, observer, launcher="http://127.0.0.1:9") as monitored:
        assert await monitored.poll() == ("ready", "")


async def test_the_engines_key(observer: FakeEngineObserver, tmp_path: Path) -> None:
    with mock_process("--key", OLD) as (_, port):
        url = f"http://127.0.0.1:{port}"
        async with monitoring(url, observer, key=engine_key(tmp_path, OLD)) as monitored:
            assert await monitored.poll() == ("ready", "")
        async with monitoring(url, observer, key=engine_key(tmp_path, NEW)) as monitored:
            state, reason = await monitored.poll()
            assert (state, "ENGINE_KEY_FILE" in reason) == ("down", True)


async def test_polling_continues_after_an_unexpected_error(
    monitored: MonitoredEngine, alpha: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls = 0
    real = monitored.monitor.poll

    async def poll() -> None:
        nonlocal polls
        polls += 1
        if polls == 1:
            raise ZeroDivisionError
        await real()

    monkeypatch.setattr(monitored.monitor, "poll", poll)
    run = asyncio.create_task(monitored.monitor.run())
    await monitored.monitor.polled_once.wait()
    await until(lambda: monitored.engine.ready)
    await alpha.change(health=500)
    await until(lambda: monitored.engine.state == "ejected")
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
