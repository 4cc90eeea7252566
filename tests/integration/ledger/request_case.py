"""One kind of request, with its expected outcome and every counter that it must increase."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.samples import Series, series

from gateway.errors import EnginePhase, Outcome

CHAT, COMPLETIONS, EMBEDDINGS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models"
# Of six words: the mock engine counts a word as a token.
_MESSAGES = [{"role": "user", "content": "one two three four five six"}]
_TOKENS = ("input", "output", "cached_input", "reasoning")
_COUNTED_PER_KEY = ("input", "output")
_CLIENT_CLOSED_REQUEST = 499


@dataclass(frozen=True, eq=False)
class RequestCase:
    """One kind of request.

    Attributes:
        name: For failures.
        outcome: How it must be counted.
        code: The status that it must get and be counted with; 499 where the client disconnects before one.
        body: The body; bytes are sent as they are, all else as JSON.
        route: The path, which is also the label unless `label` is given.
        label: The label of the route.
        model: The label of the model.
        method: The HTTP method.
        key: The name of its API key; None for none.
        key_is_known: Whether the gateway gets as far as to identify the key.
        held_after: Events after which the engine waits at a barrier, the one with the role included; None for never.
        disconnects: The client disconnects while the engine waits; else the barrier is released then.
        half_body: It sends half of its body, and then disconnects, where `disconnects`, or waits for a response.
        tokens_received: Tokens that reach the client of a stream; None for any number.
        ends_with_error: A stream that must end with an error event and without [DONE].
        tokens: Input, output, cached and reasoning tokens, where there are any, in the usage that the engine reports.
        wasted: Tokens of a plain response that was aggregated from a stream, and never sent.
        attempts: The engines that it is sent to, in order, each with the result.
        phase: The phase that times out.
        auth_failure: Why the key is refused.
    """

    name: str
    outcome: Outcome
    code: int
    body: Any = None
    route: str = CHAT
    label: str | None = None
    model: str = "left"
    method: str = "POST"
    key: str | None = "tester"
    key_is_known: bool = True
    held_after: int | None = None
    disconnects: bool = False
    half_body: bool = False
    tokens_received: int | None = 0
    ends_with_error: bool = False
    tokens: tuple[int, ...] = (0, 0)
    wasted: int = 0
    attempts: tuple[tuple[str, str], ...] = ()
    phase: EnginePhase | None = None
    auth_failure: str | None = None

    @property
    def stream(self) -> bool:
        """Whether it requests a stream, and the gateway gets as far as to parse that."""
        return isinstance(self.body, dict) and bool(self.body.get("stream")) and self.model != "none"

    @property
    def engine(self) -> str:
        """The engine that it is held at."""
        return self.attempts[0][0]

    def started_entries(self) -> Iterator[tuple[Series, int]]:
        """What it increases at its start: all that is left of it when its worker is killed."""
        yield series("gateway_requests_started_total", route=self.label or self.route, model=self.model), 1

    def entries(self, received: int) -> Iterator[tuple[Series, int]]:
        """Every counter that it increases, and by how much; `received` tokens have reached the client."""
        route_labels = {"route": self.label or self.route, "model": self.model}
        request_labels = {**route_labels, "stream": str(self.stream).lower()}
        yield from self.started_entries()
        yield series("gateway_requests_total", **request_labels, outcome=self.outcome, code=str(self.code)), 1
        yield series("gateway_request_duration_seconds_count", **request_labels), 1
        yield from self._token_entries(received)
        yield from self._usage_entries()
        if self.auth_failure is not None:
            yield series("gateway_auth_failures_total", reason=self.auth_failure), 1
        if self.phase is not None:
            yield series("gateway_timeouts_total", phase=self.phase), 1
        if self.outcome == "cancelled":
            phase = "before_first_event" if self.code == _CLIENT_CLOSED_REQUEST else "after_first_event"
            yield series("gateway_cancellations_total", phase=phase), 1
        for number, (engine, result) in enumerate(self.attempts, 1):
            yield series("gateway_engine_requests_total", engine=engine, result=result), 1
            if number < len(self.attempts):
                yield series("gateway_engine_retries_total", engine=engine), 1

    def _token_entries(self, received: int) -> Iterator[tuple[Series, int]]:
        if self.wasted:
            yield series("gateway_wasted_tokens_total", model=self.model, reason=self.outcome), self.wasted
        if not self.stream or not received:
            return
        if self.outcome != "cancelled":  # whether its client has read the first token is not known
            yield series("gateway_time_to_first_token_seconds_count", model=self.model), 1
            yield series("gateway_key_time_to_first_token_seconds_count", key=str(self.key)), 1
        if self.outcome != "ok":
            yield series("gateway_wasted_tokens_total", model=self.model, reason=self.outcome), received
        elif self.tokens[1] > 1:
            yield series("gateway_time_per_output_token_seconds_count", model=self.model), 1

    def _usage_entries(self) -> Iterator[tuple[Series, int]]:
        if self.key is not None and self.key_is_known:
            yield series("gateway_key_requests_total", key=self.key, outcome=self.outcome), 1
            yield series("gateway_key_request_duration_seconds_count", key=self.key), 1
        if any(self.tokens):
            for kind in _COUNTED_PER_KEY:
                yield series(f"gateway_request_{kind}_tokens_count", model=self.model), 1
        for kind, count in zip(_TOKENS, self.tokens, strict=False):
            yield series("gateway_tokens_total", model=self.model, type=kind), count
            if kind in _COUNTED_PER_KEY:
                yield series("gateway_key_tokens_total", key=str(self.key), type=kind), count


def chat(model: str = "left", *, stream: bool = False, **mock: Any) -> dict[str, Any]:
    """A chat request of six words; `mock` controls the mock engine, which generates 16 tokens by default."""
    return {"model": model, "messages": _MESSAGES, **({"stream": True} if stream else {}), "mock": mock}


def slow(model: str = "left") -> dict[str, Any]:
    """A chat that streams for longer than any timeout, one token at a time."""
    return chat(model, stream=True, tokens=900, interval_s=0.2)
