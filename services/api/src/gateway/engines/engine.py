"""One engine: what is known of it."""

import asyncio
import time
from collections.abc import Callable
from math import inf
from typing import Literal, NamedTuple, get_args

from loguru import logger

from gateway.cost import EngineMeter
from gateway.engines.outlier import Outlier
from gateway.errors import ATTEMPT_RESULTS, EngineStalled, GatewayError
from gateway.telemetry.metrics import Metrics
from gateway.upstream import Upstream

State = Literal["starting", "ready", "draining", "ejected", "down", "failed"]
STATES: tuple[State, ...] = get_args(State)

# The names that seed 003's API has for the kinds of engine, by what an engine says owns its models.
KINDS = {"vllm": "vllm", "llamacpp": "llama_cpp"}

# An engine that said that it takes no more is asked last for so long, whatever it advised, in seconds.
_MAX_BUSY_S = 10.0
_BUSY_S = 1.0


class Load(NamedTuple):
    """An engine's own word on how busy it is. `kv_use` is the share of the KV cache in use, 0 to 1, where it tells."""

    running: int = 0
    waiting: int = 0
    kv_use: float | None = None


class Engine:
    """What is known of one engine: written by its watcher and by the requests that it serves, read by all.

    Args:
        name: Its name in `ENGINES`; the label in metrics.
        upstream: The client to it.
        catalogue: Where its state is counted.
        meter: Where its time is shared out over requests; None where it has no price.

    Attributes:
        state: starting, ready, draining, ejected, down or failed.
        reason: Why it is not ready, for people; "" when it is.
        kind: `vllm`, `llama_cpp`, or "" before it has said what it is.
        models: What it serves by its own list; kept while it is away, so that its models are known.
        load: Its own word on how busy it is.
        inflight: Requests that this process has at it.
        waiting: How to interrupt each of those that have not got a byte yet.
        last_success_at: When it last made progress (`time.monotonic`): a token, a passed probe, a step by its own
            counters; -inf before, and while it is away.
        outlier: Its failures, and whether they have taken it out.
        doubt: Set when it should be looked at, and made to generate, at once.
        last_chosen: A number that rises with each choice of an engine: who was chosen longest ago?
    """

    def __init__(self, name: str, upstream: Upstream, metrics: Metrics, meter: EngineMeter | None = None) -> None:
        self.name = name
        self.upstream = upstream
        self.meter = meter
        self.state: State = "starting"
        self.reason = "not looked at yet"
        self.kind = ""
        self.models: tuple[str, ...] = ()
        self.load = Load()
        self.inflight = 0
        self.waiting: set[Callable[[GatewayError], None]] = set()
        self.last_success_at = -inf
        self.outlier = Outlier()
        self.doubt = asyncio.Event()
        self.last_chosen = 0
        self._busy_until = -inf
        self._is_stalled = False
        self._maybe_up = False
        self._metrics = metrics
        for result in ATTEMPT_RESULTS:
            metrics.engine_requests.labels(name, result)
        metrics.engine_retries.labels(name)
        metrics.engine_ejections.labels(name)
        self._publish()

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.state == "ready"

    @property
    def is_last_resort(self) -> bool:
        """Whether it may be asked although it is not ready, where nobody else is.

        It was ejected for its failures but generates, or it broke a connection and has not been looked at since.
        """
        return (self.state == "ejected" and not self._is_stalled) or (self.state == "down" and self._maybe_up)

    @property
    def wants_trial(self) -> bool:
        """Whether it is time for the one request that decides about its return."""
        return self.state == "ejected" and not self._is_stalled and self.outlier.may_be_tried(time.monotonic())

    @property
    def is_hesitant(self) -> bool:
        """Whether others should be asked first: it has just said that it is full, or has to show that it can finish."""
        return time.monotonic() < self._busy_until or (self.outlier.failures > 0 and self.inflight > 0)

    @property
    def aborts_on_disconnect(self) -> bool:
        """Whether it stops generating when the client of a plain (not streamed) request goes; llama.cpp does not."""
        return self.kind != "llama_cpp"

    @property
    def outstanding(self) -> int:
        """Requests that it runs and holds waiting, or that we know to be there, whichever is more."""
        return max(self.load.running + self.load.waiting, self.inflight)

    @property
    def closes_after_streams(self) -> bool:
        """Whether it closes the connection behind a stream although it said that it would not; llama.cpp does."""
        return self.kind == "llama_cpp"

    @property
    def suspect(self) -> bool:
        """Whether it has failed, since it last finished an answer, at what another engine could do."""
        return self.outlier.failures > 0

    def set_state(self, state: State, reason: str = "") -> None:
        """Sets the state. A change is logged once and shown in `gateway_engine_state`."""
        changed = state != self.state
        self.state, self.reason = state, reason
        if changed:
            logger.bind(event="engine", engine=self.name, state=state, reason=reason).info("")
        self._publish()

    def record_progress(self) -> None:
        """It has got on with its work: a token came, or its own counters rose. One that seemed hung is back."""
        self.last_success_at = time.monotonic()
        if self._is_stalled:
            self._return()

    def record_probe(self) -> None:
        """It has passed the one-token probe: it is back, unless it was ejected for what a probe cannot show."""
        if self.state not in {"ready", "ejected"}:
            self.outlier = Outlier()  # it has been away, and starts with a clean sheet
        self.last_success_at = time.monotonic()
        if not self.outlier.is_ejected or self._is_stalled:
            self._return()

    def record_success(self) -> None:
        """It has finished an answer."""
        now = time.monotonic()
        self.last_success_at = now
        self.outlier.succeed(now)
        if self.state == "ejected":
            self._return()

    def record_failure(self, began: float, *, others_ready: bool) -> None:
        """It failed a request, and it is to blame; the fifth incident in a row takes it out for a while.

        Args:
            began: When that request began (`time.monotonic`): all that were under way then are one incident.
            others_ready: Whether every model of it has another ready engine; the last one is never taken out.
        """
        now = time.monotonic()
        if self.outlier.fail(began, now) and others_ready and self.state in {"ready", "ejected"}:
            self.outlier.eject(now)
            self._metrics.engine_ejections.labels(self.name).inc()
            self.set_state("ejected", "it fails its requests, one after the other")

    def record_busy(self, retry_after: int | None) -> None:
        """It said that it takes no more requests; `retry_after` is its own advice in seconds, where it gave any."""
        self._busy_until = time.monotonic() + min(_BUSY_S if retry_after is None else retry_after, _MAX_BUSY_S)

    def mark_unreachable(self, reason: str, *, is_certain: bool = True) -> None:
        """It refused or broke a new connection: out of rotation until its watcher has seen it generate again.

        Args:
            reason: For people.
            is_certain: False where it may well be there, and nobody has looked yet.
        """
        self._maybe_up = not is_certain
        self._is_stalled = False
        self.last_success_at = -inf
        self.set_state("down", reason)

    def mark_stalled(self, reason: str) -> None:
        """It is there but makes no progress: out of rotation until it does; who waits for a first byte moves on."""
        if not self._is_stalled:
            self._metrics.engine_ejections.labels(self.name).inc()
        self._is_stalled = True
        self.last_success_at = -inf
        self.set_state("ejected", reason)
        self.interrupt_waiting(f"The engine {self.name} makes no progress: {reason}.")

    def interrupt_waiting(self, message: str) -> None:
        """Ends the attempts that have not got a byte yet, so that they may go on to another engine."""
        for interrupt in tuple(self.waiting):
            interrupt(EngineStalled(message, phase="ttft"))

    def _return(self) -> None:
        self._is_stalled = False
        self.set_state(
            "ejected" if self.outlier.is_ejected else "ready", self.reason if self.outlier.is_ejected else ""
        )

    def _publish(self) -> None:
        for state in STATES:
            self._metrics.engine_state.labels(self.name, state).set(state == self.state)
