from launcher.status import Status


def test_a_start_goes_through_its_phases_to_ready() -> None:
    status = Status("demo")
    status.begin_attempt("demo")
    status.enter_phase("loading_weights")
    status.enter_phase("compiling")
    status.enter_phase("compiling")
    starting = status.snapshot()
    status.mark_ready()
    ready = status.snapshot()

    assert (starting.state, starting.phase, starting.up_since) == ("starting", "compiling", None)
    assert list(starting.phases) == ["launching", "loading_weights", "compiling"]
    assert (ready.state, ready.phase, ready.attempts) == ("ready", "ready", 1)
    assert ready.up_since == ready.since
    assert ready.phases["compiling"] >= starting.phases["compiling"] >= 0


def test_a_failure_keeps_the_phase_and_says_why_and_until_when() -> None:
    status = Status("demo")
    status.begin_attempt("demo")
    status.enter_phase("loading_weights")
    status.mark_failed("the file is cut short", retry_at=12.0)

    assert status.snapshot().as_json() == {
        "state": "failed",
        "phase": "loading_weights",
        "reason": "the file is cut short",
        "since": status.snapshot().since,
        "retry_at": 12.0,
        "model": "demo",
    }


def test_the_next_attempt_forgets_the_failure_but_for_the_last_reason() -> None:
    status = Status("demo")
    status.begin_attempt("demo")
    status.mark_failed("no", retry_at=12.0)
    status.begin_attempt("other")
    again = status.snapshot()

    assert (again.state, again.reason, again.retry_at) == ("starting", "", None)
    assert again.last_failure == "no"
    assert (again.model, again.attempts) == ("other", 2)
    assert list(again.phases) == ["launching"]


def test_a_late_log_line_does_not_take_a_ready_engine_back_to_starting() -> None:
    status = Status("demo")
    status.begin_attempt("demo")
    status.mark_ready()
    status.enter_phase("compiling")

    assert status.snapshot().phase == "ready"


def test_draining_is_no_longer_up() -> None:
    status = Status("demo")
    status.begin_attempt("demo")
    status.mark_ready()
    status.mark_draining("asked")

    assert (status.snapshot().state, status.snapshot().up_since) == ("draining", None)
