"""One kind of request, which knows how it must end and every counter that it must move."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.samples import Series, series

from gateway.errors import EnginePhase, Outcome

CHAT, COMPLETIONS, EMBEDDINGS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models"
# Of six words: the mock engine counts a word as a token.
_MESSAGES = [{"role": "user", "content": "one two three four five six"}]
_TOKENS = ("input", "output", "cached_input", "reasoning")
_OF_A_KEY = ("input", "output")
_BEFORE_A_HEAD = 499


@dataclass(frozen=True, eq=False)
class Case:
    """One kind of request.

    Attributes:
        name: For failures.
        outcome: How it must be counted.
        code: The status that it must get and be counted with; 499 where the client leaves before one.
        body: What it sends; bytes as they are.
        route: Where to; the label too, unless `label` says otherwise.
        model: The label that it must be counted with.
        key: Which key it shows; None for none.
        keyed: Whether the gateway gets as far as to know the key.
        hold: After how many events the engine stands still, the event that names the role included; None for never.
        leaves: The client goes while the engine stands still; else the gate is opened then.
        half: It sends half of its body; and then goes, where `leaves`, else waits for an answer.
        said: Tokens that reach the client of a stream; None for as many as it happens to see.
        broken: A stream that must end with an error event and without [DONE].
        tokens: Input, output, cached and reasoning tokens, as far as there are any, that the engine counts and the
            gateway must have heard of.
        wasted: Tokens of a plain answer that was made from a stream, and came to nothing.
        attempts: Engines that are asked, in order, and what comes of it.
        phase: The phase that runs out of time.
        refusal: Why there is no good key.
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
    keyed: bool = True
    hold: int | None = None
    leaves: bool = False
    half: bool = False
    said: int | None = 0
    broken: bool = False
    tokens: tuple[int, ...] = (0, 0)
    wasted: int = 0
    attempts: tuple[tuple[str, str], ...] = ()
    phase: EnginePhase | None = None
    refusal: str | None = None

    @property
    def stream(self) -> bool:
        """Whether it asks for a stream, and the gateway gets as far as to know."""
        return isinstance(self.body, dict) and bool(self.body.get("stream")) and self.model != "none"

    @property
    def engine(self) -> str:
        """The engine that it is held at."""
        return self.attempts[0][0]

    def begun(self) -> Iterator[tuple[Series, int]]:
        """What it moves when it begins: all that is left of it should its worker be killed."""
        yield series("gateway_requests_started_total", route=self.label or self.route, model=self.model), 1

    def entries(self, seen: int) -> Iterator[tuple[Series, int]]:
        """Every counter that it moves, and by how much; `seen` tokens have reached the client."""
        where = {"route": self.label or self.route, "model": self.model}
        spread = {**where, "stream": str(self.stream).lower()}
        yield from self.begun()
        yield series("gateway_requests_total", **spread, outcome=self.outcome, code=str(self.code)), 1
        yield series("gateway_request_duration_seconds_count", **spread), 1
        yield from self._said(seen)
        yield from self._spent()
        if self.refusal is not None:
            yield series("gateway_auth_failures_total", reason=self.refusal), 1
        if self.phase is not None:
            yield series("gateway_timeouts_total", phase=self.phase), 1
        if self.outcome == "cancelled":
            moment = "before_first_event" if self.code == _BEFORE_A_HEAD else "after_first_event"
            yield series("gateway_cancellations_total", phase=moment), 1
        for number, (engine, result) in enumerate(self.attempts, 1):
            yield series("gateway_engine_requests_total", engine=engine, result=result), 1
            if number < len(self.attempts):
                yield series("gateway_engine_retries_total", engine=engine), 1

    def _said(self, seen: int) -> Iterator[tuple[Series, int]]:
        if self.wasted:
            yield series("gateway_wasted_tokens_total", model=self.model, reason=self.outcome), self.wasted
        if not self.stream or not seen:
            return
        yield series("gateway_time_to_first_token_seconds_count", model=self.model), 1
        if self.outcome != "ok":
            yield series("gateway_wasted_tokens_total", model=self.model, reason=self.outcome), seen
        elif self.tokens[1] > 1:
            yield series("gateway_time_per_output_token_seconds_count", model=self.model), 1

    def _spent(self) -> Iterator[tuple[Series, int]]:
        if self.key is not None and self.keyed:
            yield series("gateway_key_requests_total", key=self.key), 1
        for kind, count in zip(_TOKENS, self.tokens, strict=False):
            yield series("gateway_tokens_total", model=self.model, type=kind), count
            if kind in _OF_A_KEY:
                yield series("gateway_key_tokens_total", key=str(self.key), type=kind), count


def chat(model: str = "left", *, stream: bool = False, **mock: Any) -> dict[str, Any]:
    """A chat request of six words; `mock` steers the mock engine, which says 16 tokens when not told otherwise."""
    return {"model": model, "messages": _MESSAGES, **({"stream": True} if stream else {}), "mock": mock}


def slow(model: str = "left") -> dict[str, Any]:
    """A chat that streams for longer than anybody waits, a token at a time."""
    return chat(model, stream=True, tokens=900, interval_s=0.2)
