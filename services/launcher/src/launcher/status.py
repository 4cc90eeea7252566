"""The status of one engine: state, start-up phase, reason of a failure, and times."""

import threading
import time
from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["starting", "ready", "draining", "failed"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The status at one moment; times are unix seconds, durations seconds.

    `phases` holds how long each phase of the current attempt took, the running one included.
    `up_since` is when the engine became ready, and None while it is not.
    `last_failure` is why it last failed, and stays while it starts again.
    """

    state: State
    phase: str
    reason: str
    since: float
    retry_at: float | None
    model: str
    phases: dict[str, float]
    attempts: int
    up_since: float | None
    last_failure: str

    def as_json(self) -> dict[str, str | float | None]:
        """Return the six fields of `GET /status`."""
        return {
            "state": self.state,
            "phase": self.phase,
            "reason": self.reason,
            "since": self.since,
            "retry_at": self.retry_at,
            "model": self.model,
        }


class Status:
    """The thread-safe status of one engine: written by its launcher, read by the status port."""

    def __init__(self, model: str) -> None:
        self._lock = threading.Lock()
        self._model = model
        self._state: State = "starting"
        self._phase = "launching"
        self._reason = ""
        self._since = time.time()
        self._retry_at: float | None = None
        self._phases: dict[str, float] = {}
        self._phase_began = time.monotonic()
        self._attempts = 0
        self._up_since: float | None = None
        self._last_failure = ""

    def begin_attempt(self, model: str) -> None:
        """Begin a start of the engine: its phases are measured anew."""
        with self._lock:
            self._model = model
            self._attempts += 1
            self._phases = {}
            self._change("starting", "", None)
            self._phase, self._phase_began = "launching", time.monotonic()

    def enter_phase(self, phase: str) -> None:
        """Begin a phase of the start-up; no change when it is already the current one, or the start is over."""
        with self._lock:
            if self._state == "starting" and phase != self._phase:
                self._close_phase()
                self._phase, self._phase_began = phase, time.monotonic()

    def mark_ready(self) -> None:
        """The engine is ready."""
        with self._lock:
            self._close_phase()
            self._change("ready", "", None)
            self._phase = "ready"
            self._up_since = self._since

    def mark_draining(self, reason: str) -> None:
        """Running requests finish; new ones should go elsewhere."""
        with self._lock:
            self._close_phase()
            self._change("draining", reason, None)
            self._phase = "draining"

    def mark_failed(self, reason: str, retry_at: float | None) -> None:
        """The engine is not running; the phase in which it failed is kept."""
        with self._lock:
            self._close_phase()
            self._last_failure = reason
            self._change("failed", reason, retry_at)

    def snapshot(self) -> Snapshot:
        """Return the status at this moment."""
        with self._lock:
            phases = dict(self._phases)
            if self._state == "starting":
                phases[self._phase] = phases.get(self._phase, 0.0) + time.monotonic() - self._phase_began
            return Snapshot(
                state=self._state,
                phase=self._phase,
                reason=self._reason,
                since=self._since,
                retry_at=self._retry_at,
                model=self._model,
                phases=phases,
                attempts=self._attempts,
                up_since=self._up_since,
                last_failure=self._last_failure,
            )

    def _change(self, state: State, reason: str, retry_at: float | None) -> None:
        self._state, self._reason, self._retry_at = state, reason, retry_at
        self._since, self._up_since = time.time(), None

    def _close_phase(self) -> None:
        if self._state == "starting":
            spent = time.monotonic() - self._phase_began
            self._phases[self._phase] = self._phases.get(self._phase, 0.0) + spent
