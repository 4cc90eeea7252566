"""The launcher's metrics in Prometheus' text format.

A launcher has five metrics and must run inside the engine's image, so it writes the text itself rather than bring a
client library there.
"""

from collections.abc import Iterator

from launcher.status import STATES, Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(snapshot: Snapshot) -> str:
    """Write a snapshot as metrics; a time that does not exist (not up, no retry planned) is left out."""
    return "\n".join(_lines(snapshot)) + "\n"


def _lines(snapshot: Snapshot) -> Iterator[str]:
    yield from _head("launcher_state", "gauge", "1 for the state that the engine is in, 0 for the others.")
    for state in STATES:
        yield f'launcher_state{{state="{state}"}} {int(state == snapshot.state)}'
    yield from _head(
        "launcher_phase_seconds", "gauge", "How long each phase of the latest start took, or takes so far."
    )
    for phase, seconds in snapshot.phases.items():
        yield f'launcher_phase_seconds{{phase="{phase}"}} {seconds:.3f}'
    yield from _head("launcher_start_attempts_total", "counter", "How often the launcher has started its engine.")
    yield f"launcher_start_attempts_total {snapshot.attempts}"
    yield from _head(
        "launcher_up_since_timestamp_seconds", "gauge", "When the engine became ready; absent while it is not."
    )
    if snapshot.up_since is not None:
        yield f"launcher_up_since_timestamp_seconds {snapshot.up_since:.3f}"
    yield from _head(
        "launcher_retry_timestamp_seconds", "gauge", "When a failed engine is started again; absent otherwise."
    )
    if snapshot.retry_at is not None:
        yield f"launcher_retry_timestamp_seconds {snapshot.retry_at:.3f}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
