"""The status port of a launcher: `GET /status` (JSON), `/livez`, `/metrics`."""

import json
from collections.abc import Iterator

from launcher import exposition
from launcher.exposition import Metric, Sample
from launcher.http_server import Response, Routes
from launcher.status import STATES, Snapshot, Status

_STATE = Metric("launcher_state", "gauge", "1 for the state that the engine is in, 0 for the others.")
_PHASE = Metric("launcher_phase_seconds", "gauge", "How long each phase of the latest start took, or takes so far.")
_ATTEMPTS = Metric("launcher_start_attempts_total", "counter", "How often the launcher has started its engine.")
_UP_SINCE = Metric(
    "launcher_up_since_timestamp_seconds", "gauge", "When the engine became ready; absent while it is not."
)
_RETRY = Metric("launcher_retry_timestamp_seconds", "gauge", "When a failed engine is started again; absent otherwise.")
_LAST_FAILURE = Metric(
    "launcher_last_failure_info", "gauge", "1, with the model and why its engine last failed; absent before a failure."
)
_DECLARED = (_STATE, _PHASE, _ATTEMPTS, _UP_SINCE, _RETRY, _LAST_FAILURE)
_REASON_LENGTH = 200  # it becomes a label, and a part of a notification


def routes(status: Status) -> Routes:
    """Give the routes of a launcher's status port."""
    return {
        "/status": lambda: Response(json.dumps(status.snapshot().as_json(), ensure_ascii=False), "application/json"),
        "/livez": lambda: Response("ok\n"),
        "/metrics": lambda: Response(render_metrics(status.snapshot()), exposition.CONTENT_TYPE),
    }


def render_metrics(snapshot: Snapshot) -> str:
    """Write a snapshot as metrics; a time that does not exist (not up, no retry planned) is left out."""
    return exposition.render(_samples(snapshot), declared=_DECLARED)


def _samples(snapshot: Snapshot) -> Iterator[Sample]:
    for state in STATES:
        yield Sample(_STATE, int(state == snapshot.state), (("state", state),))
    for phase, seconds in snapshot.phases.items():
        yield Sample(_PHASE, round(seconds, 3), (("phase", phase),))
    yield Sample(_ATTEMPTS, snapshot.attempts)
    if snapshot.up_since is not None:
        yield Sample(_UP_SINCE, round(snapshot.up_since, 3))
    if snapshot.retry_at is not None:
        yield Sample(_RETRY, round(snapshot.retry_at, 3))
    if snapshot.last_failure:
        reason = snapshot.last_failure[:_REASON_LENGTH]
        yield Sample(_LAST_FAILURE, 1, (("model", snapshot.model), ("reason", reason)))
