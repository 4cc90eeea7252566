"""One frozen record per request. Metrics and the log line are both made from it, so they cannot disagree."""

from typing import NamedTuple

from gateway.errors import EnginePhase, Outcome
from gateway.usage import Usage


class RequestRecord(NamedTuple):
    """Everything that is kept of one request: no prompt, no completion, no key. Times are in seconds.

    Attributes:
        key: The name of the API key; None without a valid one.
        model: The model's label: a discovered name, "other" for unknown ones, "none" where none was named.
        code: The status that the client received; 499 when it left before one was sent.
        duration: From the first byte in to the last byte out.
        ttft: From the first byte in to the first non-empty token out; None when no token was streamed.
        generating: From the first token out to the last one; None when no token was streamed.
        usage: None when the engine reported none: the request failed, or its stream was cut short.
        token_events: Events with a token that were sent; all that is known of a stream that was cut short.
        cost: US dollars for all attempts; None when no engine with a price was asked.
        log: Whether it gets a log line.
    """

    request_id: str
    route: str
    key: str | None
    model: str
    engine: str | None
    stream: bool
    outcome: Outcome
    code: int
    error_code: str | None
    timeout_phase: EnginePhase | None
    duration: float
    ttft: float | None
    generating: float | None
    usage: Usage | None
    token_events: int
    attempts: int
    cost: float | None
    log: bool

    @property
    def time_per_output_token(self) -> float | None:
        """Mean seconds between output tokens; None for fewer than two, where it is undefined."""
        if self.generating is None or self.usage is None or self.usage.output <= 1:
            return None
        return self.generating / (self.usage.output - 1)
