"""The fleet: which engine takes a request, and the error when none can."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from gateway.engines import Engine, Fleet
from gateway.engines.engine import STATES, State
from gateway.engines.load import Load
from gateway.errors import ModelNotFound, NoEngineReady
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.in_process.engines import FakeEngineObserver

    Make = Callable[..., Engine]


@pytest.fixture
def make(observer: FakeEngineObserver) -> Make:
    def engine(name: str, *models: str, state: State = "ready", running: int = 0) -> Engine:
        made = Engine(name, Upstream(name, "http://h:1", key=None, connect_timeout=1), observer)
        made.models, made.load = models, Load(running=running)
        made.set_state(state, "" if state == "ready" else "why")
        return made

    return engine


def fleet(*engines: Engine) -> Fleet:
    return Fleet(engines, max_success_age=10)


def test_the_least_busy_ready_engine_that_serves_the_model(make: Make) -> None:
    busy, idle = make("a", "m", running=5), make("b", "m", running=2)
    others = make("c", "n"), make("d", "m", state="draining")
    assert fleet(busy, idle, *others).choose("m") is idle
    assert fleet(busy, idle, *others).choose("m", exclude=[idle]) is busy
    idle.inflight = 9  # what this process knows beats what the engine told a second ago
    assert fleet(busy, idle, *others).choose("m") is busy
    busy.load = Load(running=5, waiting=20)
    assert fleet(busy, idle, *others).choose("m") is idle


def test_equals_take_turns(make: Make) -> None:
    three = fleet(*(make(name, "m") for name in "abc"))
    assert "".join(three.choose("m").name for _ in range(7)) == "abcabca"


def test_an_engine_that_is_full_is_asked_last_for_a_while(make: Make) -> None:
    full, other = make("a", "m"), make("b", "m", running=50)
    both = fleet(full, other)
    full.record_busy(5)
    assert both.choose("m") is other
    assert both.choose("m", exclude=[other]) is full, "but it is asked"
    full.record_busy(0)
    assert both.choose("m") is full


def test_an_engine_that_failed_gets_one_request_at_a_time(make: Make) -> None:
    failed, other = make("a", "m"), make("b", "m", running=3)
    both = fleet(failed, other)
    failed.record_failure(time.monotonic(), others_ready=True)
    assert both.choose("m") is failed
    failed.inflight = 1
    assert both.choose("m") is other, "fast failures attract nothing"
    failed.record_success()
    assert both.choose("m") is failed


def test_an_ejected_engine_is_used_when_no_other_is_ready(make: Make) -> None:
    ejected, other = make("a", "m"), make("b", "m")
    both = fleet(ejected, other)
    for _ in range(5):
        ejected.record_failure(time.monotonic(), others_ready=True)
    assert [both.choose("m").name for _ in range(3)] == ["b", "b", "b"]
    other.mark_unreachable("gone")
    assert both.choose("m") is ejected
    ejected.record_progress()
    assert both.is_healthy()
    ejected.record_success()
    assert (ejected.state, both.choose("m")) == ("ready", ejected)


def test_an_engine_that_broke_a_connection_may_be_used_until_it_has_been_polled(make: Make) -> None:
    engine = make("a", "m")
    engine.mark_unreachable("it closed the connection", is_certain=False)
    assert fleet(engine).choose("m") is engine
    engine.mark_unreachable("refused")
    with pytest.raises(NoEngineReady):
        fleet(engine).choose("m")


def test_one_trial_request_decides(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, other = make("a", "m", running=9), make("b", "m")
    both = fleet(engine, other)
    for _ in range(5):
        engine.record_failure(time.monotonic(), others_ready=True)
    assert both.choose("m") is other
    later = time.monotonic() + 31
    monkeypatch.setattr("gateway.engines.engine.time.monotonic", lambda: later)
    assert both.choose("m", exclude=[other]) is engine, "the last resort"
    assert both.choose("m") is engine, "the trial goes first: nobody is harmed who could not move on"
    engine.outlier.on_trial = True
    assert both.choose("m") is other, "one at a time"


def test_the_list_of_models_shows_only_what_may_be_seen(make: Make) -> None:
    both = fleet(make("x", "secret-model"), make("y", "open-model"))
    with pytest.raises(ModelNotFound, match=r"There is: open-model\.$"):
        both.choose("other", visible=lambda model: model == "open-model")
    with pytest.raises(ModelNotFound, match=r"There is: none\.$"):
        both.choose("other", visible=lambda _: False)


def test_an_unknown_model_lists_what_there_is(make: Make) -> None:
    with pytest.raises(ModelNotFound, match=r"There is: a, b, z\.") as caught:
        fleet(make("x", "z", "a"), make("y", "b", state="down")).choose("canary")
    assert "canary" not in caught.value.message
    assert caught.value.param == "model"


def test_it_lists_none_that_is_not_for_the_asker_to_know(make: Make) -> None:
    there = fleet(make("x", "z", "a"), make("y", "b"))
    for visible, listed in ((("a", "gone"), "a"), (("gone",), "none"), ((), "none")):
        with pytest.raises(ModelNotFound, match=rf"There is: {listed}\.$"):
            there.choose("gone", visible=visible.__contains__)
    assert there.choose("b", visible=lambda _: False).name == "y", "what it may use is checked elsewhere"


@pytest.mark.parametrize("state", [state for state in STATES if state != "ready"])
def test_a_model_whose_engine_is_away(make: Make, state: State) -> None:
    engine = make("a", "m", state=state)
    if state == "ejected":
        engine.mark_stalled("why")
    with pytest.raises(NoEngineReady, match=f"a is {state}{' .why.' * (state == 'starting')}[.]$") as caught:
        fleet(engine, make("b", "n")).choose("m")
    assert caught.value.code == ("model_loading" if state == "starting" else "no_engine_ready")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 0


def test_a_reason_that_may_quote_an_engine_is_only_in_detailed_errors(make: Make) -> None:
    engine = make("a", "m", state="starting")
    for reason in ("loading secret-model-7b", "cannot reach http://10.0.0.7:8001", "Loading"):
        engine.set_state("starting", reason)
        with pytest.raises(NoEngineReady, match=r"^No engine is ready: a is starting\.$"):
            fleet(engine).choose("m")
        with pytest.raises(NoEngineReady, match=re.escape(f"a is starting ({reason})")):
            fleet(engine).choose("m", detailed=True)


def test_an_engine_that_starts_may_come_to_serve_anything(make: Make) -> None:
    with pytest.raises(NoEngineReady) as caught:
        fleet(make("a", state="starting"), make("b", "n")).choose("m")
    assert caught.value.code == "model_loading"


def test_before_any_engine_has_listed_its_models(make: Make) -> None:
    with pytest.raises(NoEngineReady):
        fleet(make("a", state="down"), make("b", state="failed")).choose("m")


def test_models_and_labels(make: Make) -> None:
    both = fleet(make("a", "m"), make("b", "n", state="down"))
    assert both.models() == {"m": ""}
    assert [both.label(model) for model in ("m", "n", "canary")] == ["m", "n", "other"]


def test_whether_other_engines_are_ready(make: Make) -> None:
    first, second = make("a", "m", "adapter"), make("b", "m")
    both = fleet(first, second)
    assert (both.others_ready(first), both.others_ready(second)) == (False, True)
    second.models = ("m", "adapter")
    assert both.others_ready(first)
    second.set_state("ejected")
    assert not both.others_ready(first)


def test_a_fleet_is_healthy_with_a_recent_success(make: Make) -> None:
    engine = make("a", "m")
    assert not fleet(engine).is_healthy()
    engine.record_progress()
    assert fleet(engine).is_healthy()
    engine.set_state("draining")
    assert not fleet(engine).is_healthy()
    engine.set_state("ready")
    engine.last_success_at -= 11
    assert not fleet(engine).is_healthy()


def test_states_are_reported(make: Make, observer: FakeEngineObserver) -> None:
    engine = make("a", "m")
    for state in STATES:
        engine.set_state(state, "why")
        assert observer.states == {"a": state}


def test_a_stalled_engine_counts_as_one_ejection(make: Make, observer: FakeEngineObserver) -> None:
    engine = make("a", "m")
    engine.record_progress()
    for _ in range(3):
        engine.mark_stalled("no token")
    assert (engine.state, engine.reason, engine.last_success_at) == ("ejected", "no token", float("-inf"))
    assert observer.ejections == {"a": 1}
