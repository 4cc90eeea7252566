"""Watching an engine: every state that it can be in, seen from outside."""

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
from gateway.engines.engine import Load
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.in_process.engines import FakeEngineObserver

    from gateway.upstream import EngineKey

TIMES = PollSchedule(interval=0.02, probe_interval=60, probe_timeout=1)


class Watched:
    def __init__(
        self, url: str, observer: FakeEngineObserver, launcher: str | None = None, key: EngineKey | None = None
    ) -> None:
        self.known: list[str] = []
        self.engine = Engine("e", Upstream("e", url, key=key, connect_timeout=5), observer)
        status = launcher and Upstream("l", launcher, key=None, connect_timeout=5)
        self.monitor = EngineMonitor(self.engine, status or None, TIMES, self._know)

    def _know(self, engine: Engine) -> None:
        self.known += engine.models

    @property
    def now(self) -> tuple[str, str]:
        return self.engine.state, self.engine.reason

    async def poll(self, times: int = 1) -> tuple[str, str]:
        for _ in range(times):
            await self.monitor.poll()
        return self.now


@asynccontextmanager
async def watched(url: str, observer: FakeEngineObserver, **more: Any) -> AsyncIterator[Watched]:
    it = Watched(url, observer, **more)
    try:
        yield it
    finally:
        for upstream in it.monitor.upstreams:
            await upstream.__aexit__(None, None, None)


@pytest.fixture
async def it(alpha: Mock, observer: FakeEngineObserver) -> AsyncIterator[Watched]:
    async with watched(alpha.url, observer) as made:
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


async def test_before_the_first_look(it: Watched) -> None:
    assert it.now == ("starting", "not polled yet")
    assert not it.engine.ready


async def test_what_an_engine_is_and_serves_is_discovered(it: Watched, alpha: Mock) -> None:
    await alpha.change(models=["base", {"id": "adapter", "parent": "base"}], running=3, waiting=2, kv_cache_usage=0.25)
    assert await it.poll() == ("ready", "")
    assert (it.engine.models, it.engine.kind, it.known) == (("base", "adapter"), "vllm", ["base", "adapter"])
    assert it.engine.load == Load(3, 2, 0.25)
    assert it.engine.aborts_on_disconnect
    assert (await alpha.truth())["probes"]["finished"] == 1


async def test_a_llama_cpp(llama: Mock, observer: FakeEngineObserver) -> None:
    async with watched(llama.url, observer) as it:
        assert await it.poll() == ("ready", "")
        assert it.engine.kind == "llama_cpp"
        assert not it.engine.aborts_on_disconnect
        await llama.change(health=503)
        assert await it.poll() == ("starting", "loading the model")


async def test_an_unknown_kind(alpha: Mock, it: Watched) -> None:
    await alpha.change(owned_by="somebody")
    assert await it.poll() == ("ready", "")
    assert it.engine.kind == ""


async def test_nothing_listens(observer: FakeEngineObserver) -> None:
    with mock_process() as (_, port):
        pass
    async with watched(f"http://127.0.0.1:{port}", observer) as it:
        state, reason = await it.poll()
        assert state == "down"
        assert "refuses connections" in reason


async def test_an_engine_that_dies_and_comes_back_keeps_its_models_known(it: Watched, alpha: Mock) -> None:
    await it.poll()
    await alpha.change(path_faults={"/health": "reset"})
    assert (await it.poll())[0] == "down"
    assert it.engine.models == ("mock",)
    assert it.engine.last_success_at == float("-inf")
    await alpha.change(path_faults={})
    assert await it.poll() == ("ready", "")
    assert (await alpha.truth())["probes"]["finished"] == 2, "it must show again that it generates"


@pytest.mark.parametrize("status", [500, 503])
async def test_vllm_with_a_dead_engine_is_out_after_a_few_looks(it: Watched, alpha: Mock, status: int) -> None:
    assert await it.poll(2) == ("ready", "")  # the second one sees the first one's probe in the engine's counters
    await alpha.change(health=status)
    assert [(await it.poll())[0] for _ in range(3)] == ["ready", "ready", "ejected"]
    assert it.now[1] == f"/health returned {status}"


@pytest.mark.parametrize("fault", ["status:500", "status:401", "html", "garbage", "reset"])
async def test_an_engine_that_does_not_list_its_models_is_down(it: Watched, alpha: Mock, fault: str) -> None:
    await alpha.change(path_faults={"/v1/models": fault})
    state, reason = await it.poll()
    assert state == "down"
    assert ("ENGINE_KEY_FILE" in reason) == (fault == "status:401")


@pytest.mark.parametrize("fault", ["status:500", "html", "garbage", "reset"])
async def test_an_engine_without_metrics_still_serves(it: Watched, alpha: Mock, fault: str) -> None:
    """Load is for choosing well; an engine that generates is not taken out for the lack of it."""
    await alpha.change(path_faults={"/metrics": fault})
    assert await it.poll() == ("ready", "")


async def test_a_hanging_page_is_not_waited_for_for_ever(
    it: Watched, alpha: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engines.monitor._POLL_TIMEOUT_S", 0.2)
    await alpha.change(path_faults={"/health": "hang"})
    assert await it.poll() == ("down", "/health took longer than 0.2 s")


@pytest.mark.parametrize("fault", ["status:500", "html", "garbage", "reset"])
async def test_row_9_a_zombie_that_fails_its_probe_is_ejected(
    it: Watched, alpha: Mock, observer: FakeEngineObserver, fault: str
) -> None:
    await alpha.change(probe_fault=fault)
    for _ in range(3):
        assert (await it.poll())[0] == "ejected"
    assert observer.ejections == {"e": 1}
    await alpha.change(probe_fault=None)
    assert await it.poll() == ("ready", "")


async def test_row_9_a_zombie_that_says_nothing_is_ejected(it: Watched, alpha: Mock) -> None:
    await alpha.change(probe_fault="hang")
    assert await it.poll() == ("ejected", "no token within 1 s")  # it never was ready: there is nothing to lose
    assert (await alpha.wait_for(lambda truth: truth["probes"]["running"] == 0))["probes"]["cancelled"] == 1


async def test_a_slow_probe_is_forgiven_while_real_requests_get_tokens(it: Watched, alpha: Mock) -> None:
    await it.poll()
    await alpha.change(probe_fault="hang")
    for _ in range(4):  # more than would take it out
        it.engine.recheck.set()
        asyncio.get_running_loop().call_later(0.3, it.engine.record_progress)
        assert await it.poll() == ("ready", "")


async def test_a_proof_is_good_for_the_interval(it: Watched, alpha: Mock) -> None:
    for _ in range(5):
        await it.poll()
    assert (await alpha.truth())["probes"]["requests"] == 1
    it.engine.last_success_at -= 61
    await it.poll()
    assert (await alpha.truth())["probes"]["requests"] == 2


async def test_a_probe_brings_no_engine_back_that_fails_its_requests(it: Watched, alpha: Mock) -> None:
    await it.poll(2)
    for _ in range(5):
        it.engine.record_failure(time.monotonic(), others_ready=True)
    it.engine.last_success_at -= 61
    assert (await it.poll(3))[0] == "ejected", "a probe cannot show what it was ejected for"
    assert (await alpha.truth())["probes"]["requests"] == 2, "but whether it generates is known"
    it.engine.record_success()
    assert await it.poll() == ("ready", "")


async def test_an_engine_that_only_embeds_is_probed_so(it: Watched, alpha: Mock) -> None:
    await alpha.change(probe_fault="status:404")
    assert await it.poll() == ("ready", "")
    it.engine.last_success_at = float("-inf")
    assert await it.poll() == ("ready", "")
    assert (await alpha.truth())["probes"]["requests"] == 1, "what worked is asked first from then on"


@pytest.mark.parametrize("state", ["failed", "draining"])
async def test_a_launchers_word_goes_first(alpha: Mock, observer: FakeEngineObserver, state: str) -> None:
    async with (
        launcher(state=state, reason="out of memory") as (url, said),
        watched(alpha.url, observer, launcher=url) as it,
    ):
        assert await it.poll() == (state, "out of memory")
        assert (await alpha.truth())["probes"]["requests"] == 0
        said["state"] = "ready"
        assert await it.poll() == ("ready", "")


async def test_row_8_a_model_that_loads_tells_its_phase(observer: FakeEngineObserver) -> None:
    with mock_process() as (_, port):
        pass
    async with (
        launcher(state="starting", phase="loading weights") as (url, _),
        watched(f"http://127.0.0.1:{port}", observer, launcher=url) as it,
    ):
        assert await it.poll() == ("starting", "loading weights")


@pytest.mark.parametrize("status", [{}, {"state": "what"}, {"state": None, "phase": 7}])
async def test_a_launcher_that_makes_no_sense_is_no_news(
    alpha: Mock, observer: FakeEngineObserver, status: dict[str, object]
) -> None:
    async with launcher(**status) as (url, _), watched(alpha.url, observer, launcher=url) as it:
        assert await it.poll() == ("ready", "")
    async with watched(alpha.url, observer, launcher="http://127.0.0.1:9") as it:
        assert await it.poll() == ("ready", "")


async def test_the_engines_key(observer: FakeEngineObserver, tmp_path: Path) -> None:
    with mock_process("--key", OLD) as (_, port):
        url = f"http://127.0.0.1:{port}"
        async with watched(url, observer, key=engine_key(tmp_path, OLD)) as it:
            assert await it.poll() == ("ready", "")
        async with watched(url, observer, key=engine_key(tmp_path, NEW)) as it:
            state, reason = await it.poll()
            assert (state, "ENGINE_KEY_FILE" in reason) == ("down", True)


async def test_watching_goes_on_whatever_happens(it: Watched, alpha: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    real = it.monitor.poll

    async def poll() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ZeroDivisionError
        await real()

    monkeypatch.setattr(it.monitor, "poll", poll)
    run = asyncio.create_task(it.monitor.run())
    await it.monitor.polled_once.wait()
    await until(lambda: it.engine.ready)
    await alpha.change(health=500)
    await until(lambda: it.engine.state == "ejected")
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
