"""One engine: its state, what it serves, how busy it is, and its failures."""

import asyncio
import time
from collections.abc import Callable
from math import inf
from typing import Final, Literal, get_args

from loguru import logger

from gateway.cost import EngineMeter
from gateway.engines.load import Load
from gateway.engines.observer import EngineObserver
from gateway.engines.outlier import Outlier
from gateway.errors import EngineStalled, GatewayError, ProbeResult
from gateway.upstream import Upstream
from gateway.usage import Usage

State = Literal["starting", "ready", "draining", "ejected", "down", "failed"]
STATES: tuple[State, ...] = get_args(State)

# The kinds of engine by the name that an engine gives as the owner of its models, as `/models/status` shows them.
KINDS = {"vllm": "vllm", "llamacpp": "llama_cpp"}

# How long an engine that reported itself full is tried last, in seconds: without advice of its own, and at most.
_DEFAULT_BUSY_S = 1.0
_MAX_BUSY_S = 10.0


class Preference:
    """How much an engine is preferred to others for a request: of these numbers, the lowest first."""

    TRIAL: Final = 0
    READY: Final = 1
    DEPRIORITIZED: Final = 2
    LAST_RESORT: Final = 3
    UNUSABLE: Final = 4


class Engine:
    """The state of one engine: written by its monitor and by the requests that it serves, read by everyone.

    Args:
        name: Its name in `ENGINES`; the label in metrics.
        upstream: The HTTP client to it.
        observer: Told of its states and ejections.
        meter: Shares its time out over requests; None where it has no price.

    Attributes:
        state: starting, ready, draining, ejected, down or failed.
        reason: Why it is not ready, for people; "" when it is.
        kind: `vllm`, `llama_cpp`, or "" until it has been identified.
        models: What it serves by its own list; kept while it is away, so that its models stay known.
        load: How busy it reports itself to be.
        inflight: Requests that this process has sent it and that have not ended.
        waiting: Interrupts for those requests that have not received a byte yet.
        last_success_at: When it last made progress (`time.monotonic`): a token, a passed probe, a step by its own
            counters; -inf before the first, and while it is away.
        outlier: Its failures, and whether they have ejected it.
        recheck: Set to have it polled and probed at once.
        last_chosen: A number that rises with each choice of an engine, to find the one chosen longest ago.
    """

    def __init__(
        self, name: str, upstream: Upstream, observer: EngineObserver, meter: EngineMeter | None = None
    ) -> None:
        self.name = name
        self.upstream = upstream
        self.meter = meter
        self.state: State = "starting"
        self.reason = "not polled yet"
        self.kind = ""
        self.models: tuple[str, ...] = ()
        self.load = Load()
        self.inflight = 0
        self.waiting: set[Callable[[GatewayError], None]] = set()
        self.last_success_at = -inf
        self.outlier = Outlier()
        self.recheck = asyncio.Event()
        self.last_chosen = 0
        self._busy_until = -inf
        self._is_stalled = False
        self._maybe_up = False
        self._observer = observer
        observer.declare_engine(name, STATES)
        observer.engine_state_set(name, self.state)

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.state == "ready"

    @property
    def is_last_resort(self) -> bool:
        """Whether to use it, although it is not ready, when no engine is.

        It was ejected for its failures but generates, or it broke a connection and has not been polled since.
        """
        return (self.state == "ejected" and not self._is_stalled) or (self.state == "down" and self._maybe_up)

    @property
    def is_due_for_trial(self) -> bool:
        """Whether its ejection is over, and one request decides whether it returns."""
        return self.state == "ejected" and not self._is_stalled and self.outlier.may_be_tried(time.monotonic())

    @property
    def is_deprioritized(self) -> bool:
        """Whether to prefer other engines: it reported itself full, or has failed and is busy proving that it works."""
        return time.monotonic() < self._busy_until or (self.outlier.failures > 0 and self.inflight > 0)

    def preference(self, *, may_try: bool) -> int:
        """How much it is preferred to others for a request; see `Preference`.

        Args:
            may_try: Whether the request may be the trial that decides whether an ejected engine returns.
        """
        if self.state == "ready":
            return Preference.DEPRIORITIZED if self.is_deprioritized else Preference.READY
        if may_try and self.is_due_for_trial:
            return Preference.TRIAL
        return Preference.LAST_RESORT if self.is_last_resort else Preference.UNUSABLE

    @property
    def aborts_on_disconnect(self) -> bool:
        """Whether it stops generating when the client of a non-streamed request disconnects; llama.cpp does not."""
        return self.kind != "llama_cpp"

    @property
    def outstanding(self) -> int:
        """Requests that it reports as running and waiting, or that this process has sent it, whichever is more."""
        return max(self.load.running + self.load.waiting, self.inflight)

    @property
    def closes_after_streams(self) -> bool:
        """Whether it closes the connection after a stream despite announcing keep-alive; llama.cpp does."""
        return self.kind == "llama_cpp"

    @property
    def is_suspect(self) -> bool:
        """Whether it has failed, since it last finished a response, at what another engine could do."""
        return self.outlier.failures > 0

    def set_state(self, state: State, reason: str = "") -> None:
        """Sets the state, reports it, and logs it if it has changed."""
        changed = state != self.state
        self.state, self.reason = state, reason
        if changed:
            logger.bind(event="engine", engine=self.name, state=state, reason=reason).info("")
        self._observer.engine_state_set(self.name, state)

    def record_progress(self) -> None:
        """It made progress: a token came, or its own counters rose. A stalled engine is back."""
        self.last_success_at = time.monotonic()
        if self._is_stalled:
            self._recover()

    def record_probe(self) -> None:
        """It passed the one-token probe: it is back, unless it was ejected for failures that a probe cannot show."""
        if self.state not in {"ready", "ejected"}:
            self.outlier = Outlier()  # it has been away: its failures are forgotten
        self.last_success_at = time.monotonic()
        if not self.outlier.is_ejected or self._is_stalled:
            self._recover()

    def report_probe(self, result: ProbeResult, usage: Usage | None = None) -> None:
        """Reports the end of a request that was a probe, with its tokens if the engine has counted them."""
        self._observer.engine_probed(self.name, result, usage)

    def record_success(self) -> None:
        """It finished a response."""
        now = time.monotonic()
        self.last_success_at = now
        self.outlier.succeed(now)
        if self.state == "ejected":
            self._recover()

    def record_failure(self, began: float, *, others_ready: bool) -> None:
        """It failed a request by its own fault; the fifth incident in a row ejects it for a while.

        Args:
            began: When that request began (`time.monotonic`): all requests in flight at a failure are one incident.
            others_ready: Whether each of its models has another ready engine; the last one is never ejected.
        """
        now = time.monotonic()
        if self.outlier.fail(began, now) and others_ready and self.state in {"ready", "ejected"}:
            self.outlier.eject(now)
            self._observer.engine_ejected(self.name)
            self.set_state("ejected", "consecutive requests failed")

    def record_busy(self, retry_after: int | None) -> None:
        """It takes no more requests for now; `retry_after` is its own advice in seconds, if it gave any."""
        self._busy_until = time.monotonic() + min(_DEFAULT_BUSY_S if retry_after is None else retry_after, _MAX_BUSY_S)

    def mark_unreachable(self, reason: str, *, is_certain: bool = True) -> None:
        """It refused or broke a new connection: out of rotation until its monitor has seen it generate again.

        Args:
            reason: For people.
            is_certain: False where it may be up after all, which the next poll will show.
        """
        self._maybe_up = not is_certain
        self._is_stalled = False
        self.last_success_at = -inf
        self.set_state("down", reason)

    def mark_stalled(self, reason: str) -> None:
        """It is up but makes no progress: out of rotation until it does; requests without a first byte move on."""
        if not self._is_stalled:
            self._observer.engine_ejected(self.name)
        self._is_stalled = True
        self.last_success_at = -inf
        self.set_state("ejected", reason)
        self.interrupt_waiting(f"The engine {self.name} makes no progress: {reason}.")

    def interrupt_waiting(self, message: str) -> None:
        """Ends the attempts that have not received a byte yet, so that they can be retried on another engine."""
        for interrupt in tuple(self.waiting):
            interrupt(EngineStalled(message, phase="ttft"))

    def _recover(self) -> None:
        self._is_stalled = False
        self.set_state(
            "ejected" if self.outlier.is_ejected else "ready", self.reason if self.outlier.is_ejected else ""
        )
