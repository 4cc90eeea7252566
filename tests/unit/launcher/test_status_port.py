import json

from launcher import exposition
from launcher.status import Snapshot, Status
from launcher.status_port import render_metrics, routes


def a_snapshot(**changes: object) -> Snapshot:
    values: dict[str, object] = {
        "state": "ready",
        "phase": "ready",
        "reason": "",
        "since": 100.0,
        "retry_at": None,
        "model": "demo",
        "phases": {"loading_weights": 1.25},
        "attempts": 2,
        "up_since": 100.0,
        "last_failure": "",
    }
    return Snapshot(**(values | changes))  # type: ignore[arg-type]


def test_routes() -> None:
    pages = {path: route() for path, route in routes(Status("데모")).items()}

    assert list(pages) == ["/status", "/livez", "/metrics"]
    assert (json.loads(pages["/status"].text)["model"], pages["/status"].content_type) == ("데모", "application/json")
    assert pages["/livez"].text == "ok\n"
    assert 'launcher_state{state="starting"} 1' in pages["/metrics"].text
    assert pages["/metrics"].content_type == exposition.CONTENT_TYPE


def test_metrics_of_a_ready_engine() -> None:
    assert render_metrics(a_snapshot()) == (
        "# HELP launcher_state 1 for the state that the engine is in, 0 for the others.\n"
        "# TYPE launcher_state gauge\n"
        'launcher_state{state="starting"} 0\n'
        'launcher_state{state="ready"} 1\n'
        'launcher_state{state="draining"} 0\n'
        'launcher_state{state="failed"} 0\n'
        "# HELP launcher_phase_seconds How long each phase of the latest start took, or takes so far.\n"
        "# TYPE launcher_phase_seconds gauge\n"
        'launcher_phase_seconds{phase="loading_weights"} 1.25\n'
        "# HELP launcher_start_attempts_total How often the launcher has started its engine.\n"
        "# TYPE launcher_start_attempts_total counter\n"
        "launcher_start_attempts_total 2\n"
        "# HELP launcher_up_since_timestamp_seconds When the engine became ready; absent while it is not.\n"
        "# TYPE launcher_up_since_timestamp_seconds gauge\n"
        "launcher_up_since_timestamp_seconds 100.0\n"
        "# HELP launcher_retry_timestamp_seconds When a failed engine is started again; absent otherwise.\n"
        "# TYPE launcher_retry_timestamp_seconds gauge\n"
        "# HELP launcher_last_failure_info 1, with the model and why its engine last failed; absent before a failure.\n"
        "# TYPE launcher_last_failure_info gauge\n"
    )


def test_times_that_do_not_exist_are_absent() -> None:
    text = render_metrics(a_snapshot(state="failed", up_since=None, retry_at=130.0))

    assert "\nlauncher_up_since_timestamp_seconds " not in text
    assert "\nlauncher_retry_timestamp_seconds 130.0\n" in text


def test_the_last_failure_has_a_bounded_length() -> None:
    text = render_metrics(a_snapshot(last_failure='vLLM was killed by "SIGKILL". ' + "x" * 1000))

    (sample,) = [line for line in text.splitlines() if line.startswith("launcher_last_failure_info{")]
    assert sample.startswith('launcher_last_failure_info{model="demo",reason="vLLM was killed by \\"SIGKILL\\". xxx')
    assert sample.endswith('x"} 1')
    assert sample.count("x") == 200 - len('vLLM was killed by "SIGKILL". ')
