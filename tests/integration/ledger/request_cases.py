"""One case for every way in which a request can end."""

from itertools import chain

from tests.integration.ledger.request_case import COMPLETIONS, EMBEDDINGS, MODELS, chat, slow
from tests.integration.ledger.request_case import RequestCase as Case

# Of the gateway under test.
MAX_BODY_BYTES = 20_000

# `left` is a vLLM, `right` a llama.cpp, whose plain responses the gateway aggregates from streams.
LEFT_OK, RIGHT_OK = (("left", "ok"),), (("right", "ok"),)
LEFT_CANCELLED = (("left", "cancelled"),)
LEFT_BROKEN = (("left", "broken"),)
LEFT_BUSY = (("left", "busy"),)
LEFT_TIMEOUT = (("left", "timeout"),)

OK_PLAIN = Case("ok plain", "ok", 200, chat(), tokens=(6, 16), attempts=LEFT_OK)
OK_STREAM = Case("ok stream", "ok", 200, chat(stream=True), tokens_received=16, tokens=(6, 16), attempts=LEFT_OK)

# Held at a barrier: a test keeps the request at an exact point while it kills or recycles something.
HELD = (
    Case("plain, held", "ok", 200, chat(), held_after=0, tokens=(6, 16), attempts=LEFT_OK),
    Case(
        "held before its role", "ok", 200, chat(stream=True), held_after=0, tokens_received=16, tokens=(6, 16),
        attempts=LEFT_OK,
    ),
    Case(
        "held after its role", "ok", 200, chat(stream=True), held_after=1, tokens_received=16, tokens=(6, 16),
        attempts=LEFT_OK,
    ),
    Case(
        "held after 3 tokens", "ok", 200, chat(stream=True), held_after=4, tokens_received=16, tokens=(6, 16),
        attempts=LEFT_OK,
    ),
    Case(
        "held before [DONE]", "ok", 200, chat(stream=True), held_after=17, tokens_received=16, tokens=(6, 16),
        attempts=LEFT_OK,
    ),
)  # fmt: skip

HALF_BODY = Case("half a body, held", "ok", 200, chat(), half_body=True)

# With how many of about a hundred requests.
MIXED: dict[Case, int] = {
    OK_PLAIN: 14,
    OK_STREAM: 14,
    Case("ok cached", "ok", 200, chat(prompt_tokens=50, cached_tokens=32), tokens=(50, 16, 32), attempts=LEFT_OK): 3,
    Case("ok, reasoning", "ok", 200, chat(stream=True, reasoning_tokens=9), tokens_received=16, tokens=(6, 16, 0, 9),
         attempts=LEFT_OK): 2,
    Case(
        "ok, one token", "ok", 200, chat(stream=True, tokens=1), tokens_received=1, tokens=(6, 1), attempts=LEFT_OK,
    ): 2,
    Case(
        "ok, usage requested", "ok", 200, {**chat(stream=True), "stream_options": {"include_usage": True}},
        tokens_received=16, tokens=(6, 16), attempts=LEFT_OK,
    ): 2,
    Case(
        "ok text stream", "ok", 200, {"model": "left", "prompt": "one two", "stream": True, "max_tokens": 5},
        route=COMPLETIONS, tokens_received=5, tokens=(2, 5), attempts=LEFT_OK,
    ): 4,
    Case("ok embedding", "ok", 200, {"model": "left", "input": "one two three"}, route=EMBEDDINGS, tokens=(3, 0),
        attempts=LEFT_OK,
    ): 3,
    Case("ok plain of llama.cpp", "ok", 200, chat("right"), model="right", tokens=(6, 16), attempts=RIGHT_OK): 5,
    Case(
        "ok stream of llama.cpp", "ok", 200, chat("right", stream=True), model="right", tokens_received=16,
        tokens=(6, 16,
    ),
        attempts=RIGHT_OK,
    ): 4,
    Case("ok models", "ok", 200, route=MODELS, model="none", method="GET"): 1,
    Case(
        "ok, held", "ok", 200, chat(stream=True), held_after=4, tokens_received=16, tokens=(6, 16), attempts=LEFT_OK,
    ): 2,
    Case("plain, cancelled", "cancelled", 499, chat(), held_after=0, disconnects=True, attempts=LEFT_CANCELLED): 5,
    Case(
        "cancelled before its role", "cancelled", 499, chat(stream=True), held_after=0, disconnects=True,
        attempts=LEFT_CANCELLED,
    ): 5,
    Case(
        "cancelled after its role", "cancelled", 200, chat(stream=True), held_after=1, disconnects=True,
        attempts=LEFT_CANCELLED,
    ): 4,
    Case(
        "cancelled at 1", "cancelled", 200, chat(stream=True), held_after=2, disconnects=True, tokens_received=1,
        attempts=LEFT_CANCELLED,
    ): 4,
    Case(
        "cancelled at 7", "cancelled", 200, chat(stream=True), held_after=8, disconnects=True, tokens_received=7,
        attempts=LEFT_CANCELLED,
    ): 4,
    Case(
        "cancelled at [DONE]", "cancelled", 200, chat(stream=True), held_after=17, disconnects=True, tokens_received=16,
        attempts=LEFT_CANCELLED,
    ): 2,
    Case(
        "plain of llama.cpp, cancelled", "cancelled", 499, chat("right"), model="right", held_after=1, disconnects=True,
        attempts=(("right", "cancelled"),),
    ): 2,
    Case(
        "plain of llama.cpp, incomplete", "engine_error", 502, chat("right", fault="end_without_done:3"), model="right",
        wasted=3, attempts=(("right", "broken"),),
    ): 2,
    Case("disconnected in its body", "cancelled", 499, chat(), half_body=True, disconnects=True, model="none"): 2,
    Case(
        "wrong key", "client_error", 401, chat(), model="none", key="wrong", key_is_known=False,
        auth_failure="invalid_api_key",
    ): 4,
    Case("no key", "client_error", 401, chat(), model="none", key=None, auth_failure="missing_api_key"): 2,
    Case(
        "revoked", "client_error", 401, chat(), model="none", key="gone", key_is_known=False,
        auth_failure="revoked_api_key",
    ): 2,
    Case(
        "expired", "client_error", 401, chat(), model="none", key="old", key_is_known=False,
        auth_failure="expired_api_key",
    ): 2,
    Case(
        "models, wrong key", "client_error", 401, route=MODELS, method="GET", model="none", key="wrong",
        key_is_known=False, auth_failure="invalid_api_key",
    ): 1,
    Case("model not allowed", "client_error", 403, chat(), model="none", key="narrow"): 2,
    Case("unknown model", "client_error", 404, chat("made-up"), model="other"): 4,
    Case("unknown model, stream", "client_error", 404, chat("made-up", stream=True), model="other"): 1,
    Case("invalid JSON", "client_error", 400, b'{"model": "left", ', model="none"): 3,
    Case("no model", "client_error", 400, {"messages": []}, model="none"): 2,
    Case("too large", "client_error", 413, b" " * (MAX_BODY_BYTES + 1), model="none"): 1,
    Case(
        "unknown path", "client_error", 404, chat(), route="/v1/made-up", label="other", model="none",
        key_is_known=False,
    ): 2,
    Case("wrong method", "client_error", 405, method="GET", model="none", key_is_known=False): 2,
    Case("engine returns 400", "client_error", 400, chat(fault="context_length"), attempts=(("left", "rejected"),)): 2,
    Case("engine returns 422", "client_error", 422, chat(fault="status:422"), attempts=(("left", "rejected"),)): 2,
    Case("engine returns 429", "rate_limited", 429, chat(fault="status:429"), attempts=LEFT_BUSY): 1,
    Case(
        "engine reports the context length after 3 tokens", "client_error", 200,
        chat(stream=True, fault="context_event:3"), held_after=4, tokens_received=3, ends_with_error=True,
        attempts=(("left", "rejected"),),
    ): 1,
    Case("engine returns 500", "engine_error", 502, chat(fault="status:500"), attempts=LEFT_BROKEN): 2,
    Case("engine returns 503", "engine_error", 503, chat(stream=True, fault="status:503"), attempts=LEFT_BUSY): 2,
    Case("engine returns HTML", "engine_error", 502, chat(stream=True, fault="html"), attempts=LEFT_BROKEN): 1,
    Case("engine resets", "engine_error", 502, chat(fault="reset"), attempts=(("left", "reset"),)): 2,
    Case(
        "engine fails before the first event", "engine_error", 502, chat(stream=True, fault="error_event:0"),
        attempts=LEFT_BROKEN,
    ): 1,
    Case(
        "breaks after 3", "stream_error", 200, chat(stream=True, fault="break:3"), held_after=4, tokens_received=3,
        ends_with_error=True, attempts=(("left", "reset"),),
    ): 3,
    Case(
        "ends without [DONE] after 2", "stream_error", 200, chat(stream=True, fault="end_without_done:2"), held_after=3,
        tokens_received=2, ends_with_error=True, attempts=LEFT_BROKEN,
    ): 3,
    Case(
        "error event after 5", "stream_error", 200, chat(stream=True, fault="error_event:5"), held_after=6,
        tokens_received=5, ends_with_error=True, attempts=LEFT_BROKEN,
    ): 2,
}  # fmt: skip

# For a gateway with timeouts of seconds.
TIMEOUTS: dict[Case, int] = {
    Case("no head", "timeout", 504, chat(stream=True, fault="hang"), attempts=LEFT_TIMEOUT, phase="ttft"): 6,
    Case(
        "no first event", "timeout", 504, chat(stream=True, fault="headers_then_hang"), attempts=LEFT_TIMEOUT,
        phase="ttft",
    ): 4,
    Case("no response", "timeout", 504, chat(fault="hang"), attempts=LEFT_TIMEOUT, phase="total"): 6,
    Case(
        "stalls after 2", "timeout", 200, chat(stream=True, fault="stall:2"), tokens_received=2, ends_with_error=True,
        attempts=LEFT_TIMEOUT, phase="idle",
    ): 6,
    Case(
        "too long", "timeout", 200, slow(), tokens_received=None, ends_with_error=True, attempts=LEFT_TIMEOUT,
        phase="total",
    ): 6,
    Case("body stops", "client_error", 408, chat(), half_body=True, model="none"): 4,
}  # fmt: skip

# When the shutdown grace of a worker is exceeded.
UNFINISHED = (
    Case("plain, interrupted", "internal_error", 503, chat(), held_after=0, attempts=LEFT_CANCELLED),
    Case(
        "stream, interrupted",
        "stream_error",
        200,
        slow(),
        tokens_received=None,
        ends_with_error=True,
        attempts=LEFT_CANCELLED,
    ),
)

# `twin` serves nothing that `right` does not: it can be ejected.
FAILED_OVER = Case(
    "twin returns 500, retried on right", "ok", 200, chat("twin"), model="twin", tokens=(6, 16),
    attempts=(("twin", "broken"), ("right", "ok")),
)  # fmt: skip
EJECTED = Case("twin is ejected", "ok", 200, chat("twin"), model="twin", tokens=(6, 16), attempts=RIGHT_OK)
ALONE = Case("right alone", "ok", 200, chat("right"), model="right", tokens=(6, 16), attempts=RIGHT_OK)
# Two engines serve `shared`; `left` is chosen first.
DOWN = Case("left is down", "ok", 200, chat("shared"), model="shared", tokens=(6, 16), attempts=RIGHT_OK)
KILLED_EARLY = Case(
    "left is killed before the response", "ok", 200, chat("shared"), model="shared", held_after=0, tokens=(6, 16),
    attempts=(("left", "reset"), ("right", "ok")),
)  # fmt: skip
KILLED_LATE = Case(
    "left is killed after 3 tokens", "stream_error", 200, chat(stream=True), held_after=4, tokens_received=3,
    ends_with_error=True, attempts=(("left", "reset"),),
)  # fmt: skip
NO_ENGINE = Case("no engine left", "engine_error", 503, chat())
LAST_UNREACHABLE = Case(
    "the last engine is unreachable", "engine_error", 503, chat("right"), model="right",
    attempts=(("right", "unreachable"),),
)  # fmt: skip
NO_ENGINE_AT_ALL = Case("no engine left at all", "engine_error", 503, chat("right"), model="right")
NOT_ACCEPTING = Case("left does not accept connections", "timeout", 504, chat(), attempts=LEFT_TIMEOUT, phase="connect")

FLEET = (
    FAILED_OVER, ALONE, EJECTED, DOWN, KILLED_EARLY, KILLED_LATE, NO_ENGINE, LAST_UNREACHABLE, NO_ENGINE_AT_ALL,
    NOT_ACCEPTING,
)  # fmt: skip
ALL: tuple[Case, ...] = tuple(chain(MIXED, TIMEOUTS, HELD, UNFINISHED, FLEET))
