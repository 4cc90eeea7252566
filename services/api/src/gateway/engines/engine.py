"""One engine: what is known of it."""

import time
from typing import Literal, NamedTuple, get_args

from loguru import logger

from gateway.cost import Account
from gateway.errors import ATTEMPT_RESULTS
from gateway.telemetry.catalogue import Catalogue
from gateway.upstream import Upstream

State = Literal["starting", "ready", "draining", "ejected", "down", "failed"]
STATES: tuple[State, ...] = get_args(State)

# The names that seed 003's API has for the kinds of engine, by what an engine says owns its models.
KINDS = {"vllm": "vllm", "llamacpp": "llama_cpp"}

_FAILURES_TO_EJECT = 5
_EJECTION_S = 30.0


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
        account: Where its time is shared out over requests; None where it has no price.

    Attributes:
        state: starting, ready, draining, ejected, down or failed.
        reason: Why it is not ready, for people; "" when it is.
        kind: `vllm`, `llama_cpp`, or "" before it has said what it is.
        models: What it serves by its own list; kept while it is away, so that its models are known.
        load: Its own word on how busy it is.
        inflight: Requests that this process has at it.
        proved_at: When it last generated something (`time.monotonic`); -inf before.
    """

    def __init__(self, name: str, upstream: Upstream, catalogue: Catalogue, account: Account | None = None) -> None:
        self.name = name
        self.upstream = upstream
        self.account = account
        self.state: State = "starting"
        self.reason = "not looked at yet"
        self.kind = ""
        self.models: tuple[str, ...] = ()
        self.load = Load()
        self.inflight = 0
        self.proved_at = float("-inf")
        self.ejected_until = float("-inf")
        self._failures = 0
        self._ejections = 0
        self._catalogue = catalogue
        for result in ATTEMPT_RESULTS:
            catalogue.engine_requests.labels(name, result)
        catalogue.engine_retries.labels(name)
        catalogue.engine_ejections.labels(name)
        self._publish()

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self.state == "ready"

    @property
    def notices_plain_disconnect(self) -> bool:
        """Whether it stops generating when the client of a plain (not streamed) request goes; llama.cpp does not."""
        return self.kind != "llama_cpp"

    @property
    def pressure(self) -> int:
        """Requests that it runs and holds waiting, or that we know to be there, whichever is more."""
        return max(self.load.running + self.load.waiting, self.inflight)

    @property
    def closes_after_streams(self) -> bool:
        """Whether it closes the connection behind a stream although it said that it would not; llama.cpp does."""
        return self.kind == "llama_cpp"

    @property
    def suspect(self) -> bool:
        """Whether it has failed, since it last worked, at what another engine could do."""
        return self._failures > 0

    def move(self, state: State, reason: str = "") -> None:
        """Sets the state. A change is logged once and shown in `gateway_engine_state`."""
        changed = state != self.state
        self.state, self.reason = state, reason
        if changed:
            logger.bind(event="engine", engine=self.name, state=state, reason=reason).info("")
        self._publish()

    def worked(self) -> None:
        """It has just generated something."""
        self._failures = 0
        self.proved_at = time.monotonic()

    def unreachable(self, reason: str) -> None:
        """It refused or broke a connection: out of rotation until its watcher has seen it generate again."""
        self.proved_at = float("-inf")
        self.move("down", reason)

    def failed_once(self, *, others_ready: bool) -> None:
        """It failed a request that another engine could serve; the fifth in a row takes it out for a while.

        Args:
            others_ready: Whether every model of it has another ready engine; the last one is never taken out.
        """
        self._failures += 1
        if self._failures < _FAILURES_TO_EJECT or not others_ready:
            return
        self._failures = 0
        self._ejections += 1
        self.ejected_until = time.monotonic() + _EJECTION_S * self._ejections
        self._catalogue.engine_ejections.labels(self.name).inc()
        self.move("ejected", f"{_FAILURES_TO_EJECT} failures in a row")

    def stuck(self, reason: str) -> None:
        """It answers but does not generate: out of rotation until a probe passes."""
        if self.state != "ejected":
            self._catalogue.engine_ejections.labels(self.name).inc()
        self.proved_at = float("-inf")
        self.move("ejected", reason)

    def _publish(self) -> None:
        for state in STATES:
            self._catalogue.engine_state.labels(self.name, state).set(state == self.state)
