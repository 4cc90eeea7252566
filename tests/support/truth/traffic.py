"""Requests that a client knows to the last token, over seven days: what panels are compared with.

All times are seconds of the epoch. Nothing happens around the ends of the ranges: a request is counted in the step in
which it was scraped, so that what happens there would be in the range or not by the step.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

MINUTE, HOUR, DAY = 60, 3600, 86400
RANGES = {"5m": 5 * MINUTE, "6h": 6 * HOUR, "7d": 7 * DAY}
# The moment at which panels are asked, between two scrapes.
ASKED_AT = 1_767_960_002
# How long nothing ends before and after the end of a range: longer than a step of the recorded series and two scrapes.
QUIET_S = 75
CHAT = "/v1/chat/completions"
VM = "local"


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine: its name, kind, model and price of an hour."""

    name: str
    kind: str
    model: str
    usd_per_hour: float


ENGINES = (Engine("gpu-1", "vllm", "large", 0.8), Engine("cpu-1", "llama_cpp", "small", 0.2))
BY_MODEL = {engine.model: engine for engine in ENGINES}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its client saw it.

    Attributes:
        started: when it was sent.
        ended: when its response ended.
        key: of the client; empty without a valid one.
        model: requested; "none" where none was named.
        ttft: seconds to the first token of a stream, or None.
        generating: seconds from its first to its last token, or None.
        tokens: input, output, cached input and reasoning tokens; None without usage.
        events: with tokens, that were received.
    """

    started: float
    ended: float
    key: str
    model: str
    route: str
    stream: bool
    outcome: str
    code: int
    ttft: float | None = None
    generating: float | None = None
    tokens: tuple[int, int, int, int] | None = None
    events: int = 0
    phase: str = ""

    @property
    def duration(self) -> float:
        return self.ended - self.started

    @property
    def cost(self) -> float:
        """Dollars: an eighth of the engine's time."""
        engine = BY_MODEL.get(self.model)
        return engine.usd_per_hour / HOUR * self.duration / 8 if engine and self.tokens else 0.0

    @property
    def equivalents(self) -> float:
        """Output-equivalent tokens: an input token counts a quarter."""
        return self.tokens[1] + self.tokens[0] / 4 if self.tokens else 0.0


@dataclass(frozen=True, slots=True)
class Outage:
    """An engine in another state than ready, from `start` until `end`."""

    engine: str
    state: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Restart:
    """The gateway is away from `start` until `end`, and nginx answers some requests itself with 502."""

    start: float
    end: float
    nginx_responses: int


def _ago(days: float = 0, hours: float = 0, minutes: float = 0) -> float:
    return ASKED_AT - days * DAY - hours * HOUR - minutes * MINUTE


# Short ones, that a sample in twenty minutes would miss.
OUTAGES = (
    Outage("cpu-1", "down", _ago(days=2, hours=3), _ago(days=2, hours=3) + 6 * MINUTE),
    Outage("gpu-1", "ejected", _ago(hours=4), _ago(hours=4) + 2 * MINUTE),
)
RESTARTS = (
    Restart(_ago(days=5), _ago(days=5) + 2 * MINUTE, 7), Restart(_ago(hours=3), _ago(hours=3) + 20, 3),
)  # fmt: skip
# Of twelve requests at once, an engine with four slots lets eight wait.
QUEUE_AT, QUEUE_S, QUEUED, SLOTS = _ago(days=3, hours=1), 3 * MINUTE, 12, 4
# Keys: when they are added. "sudden" has its first burst at once, "newcomer" after a minute.
KEYS = {
    "daily": _ago(days=8), "batch": _ago(days=8), "early": _ago(days=4), "newcomer": _ago(hours=5, minutes=31),
    "sudden": _ago(hours=2, minutes=30),
}  # fmt: skip
BURST = 10

# Of requests that reached an engine, how the attempt ended; else it was not reachable.
ATTEMPTS = {"ok": "ok", "cancelled": "cancelled", "timeout": "timeout", "stream_error": "broken"}
REFUSED = (400, 429)
UNAUTHORIZED = 401

# Outcome, status, weight: of the requests of a day.
_OUTCOMES = (
    ("ok", 200, 800), ("cancelled", 200, 40), ("cancelled", 499, 20), ("client_error", 400, 30), ("timeout", 504, 10),
    ("engine_error", 502, 12), ("stream_error", 200, 8), ("rate_limited", 429, 15),
)  # fmt: skip


def requests(days: float) -> list[Request]:
    """All requests of the last days, by the time at which they ended."""
    dice = random.Random(20)  # noqa: S311 - the same requests in every run
    found = [*_daily(dice), *_named(dice)]
    start = _ago(days=days)
    return sorted(
        (request for request in found if request.started > start and not _is_quiet(request)),
        key=lambda request: request.ended,
    )


def _is_quiet(request: Request) -> bool:
    ends = [ASKED_AT, *(ASKED_AT - length for length in RANGES.values())]
    starts = [restart.start for restart in RESTARTS]
    ended = request.ended
    return any(abs(ended - end) < QUIET_S for end in ends) or any(
        # What no scrape saw before the gateway left is lost, as are requests that it did not get.
        ended > start - 2 * MINUTE and request.started < start + 4 * MINUTE
        for start in starts
    )


def _daily(dice: random.Random) -> Iterator[Request]:
    """Two minutes with requests in most tens of minutes, and idle hours at night."""
    at = _ago(days=7.05)
    while at < _ago(minutes=12):
        hour = at // HOUR % 24
        if not 1 <= hour < 5 and dice.random() < 0.6:
            for _ in range(dice.randint(4, 20)):
                yield _request(dice, at + dice.random() * 2 * MINUTE, dice.choice(("daily", "batch")))
        at += 10 * MINUTE


def _named(dice: random.Random) -> Iterator[Request]:
    for key, delay in (("early", 3 * MINUTE), ("newcomer", MINUTE), ("sudden", 0)):
        for _ in range(BURST):
            yield _answered(dice, KEYS[key] + delay + 0.5 + dice.random(), 0.8, key, "large", stream=True)
    for number in range(QUEUED):
        yield _answered(dice, QUEUE_AT + number / 10, QUEUE_S, "batch", "large", stream=True)
    # In the last five minutes, between the quiet ends of the range.
    for _ in range(24):
        yield _request(dice, _ago(minutes=3.4) + dice.random() * 100, "daily", longest=8)
    # With a wrong key, for an hour.
    for number in range(30):
        start = _ago(hours=5, minutes=10) + 2 * MINUTE * number + dice.random()
        yield Request(start, start + 0.002, "", "none", CHAT, False, "client_error", UNAUTHORIZED)
    # Sent to an engine that is away.
    for outage in OUTAGES:
        model = next(engine.model for engine in ENGINES if engine.name == outage.engine)
        for _ in range(6):
            start = outage.start + dice.random() * 100
            yield Request(start, start + 0.4, "daily", model, CHAT, False, "engine_error", 503)


def _request(dice: random.Random, start: float, key: str, longest: float = 40) -> Request:
    model = dice.choice(("large", "large", "small"))
    stream = dice.random() < 0.7
    ((outcome, code, _),) = dice.choices(_OUTCOMES, [weight for *_, weight in _OUTCOMES])
    # Many are fast, few are slow.
    duration = min(0.2 + dice.expovariate(0.25), longest)
    if outcome == "ok":
        return _answered(dice, start, duration, key, model, stream=stream)
    if code == 400:
        return Request(start, start + 0.01, key, "none", CHAT, False, outcome, code)
    if code == 429:
        return Request(start, start + 0.004, key, model, CHAT, stream, outcome, code)
    if code in (499, 502, 504):
        phase = "ttft" if outcome == "timeout" else ""
        return Request(start, start + duration, key, model, CHAT, stream, outcome, code, phase=phase)
    # Broken off after some tokens; a cancelled one's first token is not counted.
    ttft = duration / 4
    return Request(
        start, start + duration, key, model, CHAT, True, outcome, code, ttft, duration - ttft, events=dice.randint(2, 9)
    )


def _answered(dice: random.Random, start: float, duration: float, key: str, model: str, *, stream: bool) -> Request:
    given = dice.randint(8, 900)
    tokens = (given, dice.randint(2, 250), given // 3, dice.randint(0, 1))
    if not stream:
        return Request(start, start + duration, key, model, CHAT, False, "ok", 200, tokens=tokens)
    ttft = duration * dice.uniform(0.05, 0.5)
    return Request(start, start + duration, key, model, CHAT, True, "ok", 200, ttft, duration - ttft, tokens, tokens[1])
