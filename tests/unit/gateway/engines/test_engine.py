"""One engine: how what happens to it changes its state, and what it reports."""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING

import pytest
from loguru import logger

from gateway.engines import Engine
from gateway.engines.engine import STATES
from gateway.engines.load import Load
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.in_process.engines import FakeEngineObserver

    from gateway.errors import GatewayError


@pytest.fixture
def engine(observer: FakeEngineObserver) -> Engine:
    return Engine("e", Upstream("e", "http://h:1", key=None, connect_timeout=1), observer)


@pytest.fixture
def events() -> Iterator[list[str]]:
    """The log lines about engines."""
    lines: list[str] = []
    sink = logger.add(
        lines.append, format="{extra[state]}: {extra[reason]}", filter=lambda line: "state" in line["extra"]
    )
    yield lines
    logger.remove(sink)


def test_a_new_engine_declares_its_states_and_starts(engine: Engine, observer: FakeEngineObserver) -> None:
    assert observer.declared == {"e": STATES}
    assert observer.states == {"e": "starting"}
    assert (engine.ready, engine.is_last_resort, engine.last_success_at) == (False, False, -inf)


def test_a_change_of_state_is_logged_once(engine: Engine, observer: FakeEngineObserver, events: list[str]) -> None:
    for _ in range(3):
        engine.set_state("down", "refuses connections")
    engine.set_state("ready")
    assert events == ["down: refuses connections\n", "ready: \n"]
    assert observer.states == {"e": "ready"}


def test_a_passed_probe_makes_it_ready(engine: Engine) -> None:
    engine.record_probe()
    assert (engine.ready, engine.reason) == (True, "")
    assert time.monotonic() - engine.last_success_at < 60


def test_the_fifth_failure_in_a_row_ejects_it_unless_it_is_the_last(
    engine: Engine, observer: FakeEngineObserver
) -> None:
    engine.record_probe()
    for _ in range(9):
        engine.record_failure(time.monotonic(), others_ready=False)
    assert engine.ready
    engine.record_failure(time.monotonic(), others_ready=True)
    assert (engine.state, engine.is_last_resort, observer.ejections) == ("ejected", True, {"e": 1})
    engine.record_probe()
    assert engine.state == "ejected", "a probe cannot show that requests succeed again"
    engine.record_success()
    assert (engine.ready, engine.is_suspect) == (True, False)


def test_a_failure_makes_it_suspect_until_it_finishes_a_response(engine: Engine) -> None:
    engine.record_probe()
    engine.record_failure(time.monotonic(), others_ready=True)
    assert (engine.is_suspect, engine.is_deprioritized) == (True, False)
    engine.inflight = 1
    assert engine.is_deprioritized
    engine.record_success()
    assert (engine.is_suspect, engine.is_deprioritized) == (False, False)


def test_a_stalled_engine_interrupts_those_who_wait_and_returns_with_a_token(
    engine: Engine, observer: FakeEngineObserver
) -> None:
    interrupted: list[GatewayError] = []
    engine.record_probe()
    engine.waiting.add(interrupted.append)
    engine.mark_stalled("no token within 10 s")
    engine.mark_stalled("no token within 10 s")
    assert (engine.state, engine.is_last_resort, engine.is_due_for_trial) == ("ejected", False, False)
    assert observer.ejections == {"e": 1}
    assert interrupted[0].message == "The engine e makes no progress: no token within 10 s."
    engine.record_progress()
    assert engine.ready


def test_an_unreachable_engine_needs_a_probe(engine: Engine) -> None:
    engine.record_probe()
    engine.mark_unreachable("refused")
    engine.record_progress()
    assert (engine.state, engine.is_last_resort) == ("down", False)
    engine.mark_unreachable("reset", is_certain=False)
    assert engine.is_last_resort
    engine.record_probe()
    assert engine.ready


@pytest.mark.parametrize(("advice", "is_deprioritized"), [(None, True), (600, True), (0, False)])
def test_a_full_engine_is_deprioritized_for_a_while(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, advice: int | None, *, is_deprioritized: bool
) -> None:
    engine.record_busy(advice)
    assert engine.is_deprioritized == is_deprioritized
    later = time.monotonic() + 10
    monkeypatch.setattr("gateway.engines.engine.time.monotonic", lambda: later)
    assert not engine.is_deprioritized, "ten seconds at most"


def test_outstanding_requests_are_those_it_reports_or_those_sent(engine: Engine) -> None:
    engine.load = Load(running=2, waiting=1)
    assert engine.outstanding == 3
    engine.inflight = 5
    assert engine.outstanding == 5


def test_only_llama_cpp_needs_special_treatment(engine: Engine) -> None:
    assert (engine.aborts_on_disconnect, engine.closes_after_streams) == (True, False)
    engine.kind = "llama_cpp"
    assert (engine.aborts_on_disconnect, engine.closes_after_streams) == (False, True)
