"""One frozen record per request; metrics and the log line are both made from it, so they cannot disagree."""

from typing import NamedTuple

from gateway.errors import EnginePhase, Outcome
from gateway.usage import Usage


class RequestRecord(NamedTuple):
    """All that is kept of one request. Times are in seconds; neither prompt, completion nor key is here.

    Attributes:
        model: The model's label: a discovered name, "other" for unknown ones, "none" where none was named.
        code: The status that the client got; 499 when it left before one was sent.
        ttft: From the first byte in to the first non-empty token out; None where no token went out or it is no stream.
        usage: None when the engine gave none: the request failed, or its stream was cut short.
        events: Events with a token that went out; what is known of a stream that was cut short.
        cost: US dollars, of all attempts; None when no engine with a price was asked.
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
    events: int
    attempts: int
    cost: float | None
    quiet: bool

    @property
    def time_per_output_token(self) -> float | None:
        """Mean seconds between output tokens; None for one token or fewer, where it means nothing."""
        if self.generating is None or self.usage is None or self.usage.output <= 1:
            return None
        return self.generating / (self.usage.output - 1)
