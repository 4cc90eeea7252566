"""Every way in which a request can end, as requests that end so."""

from itertools import chain

from tests.integration.ledger.case import COMPLETIONS, EMBEDDINGS, MODELS, Case, chat, slow

# Longer than MAX_BODY_BYTES of the gateway under test.
MOST_BYTES = 20_000

# `left` is a vLLM, `right` a llama.cpp, whose plain answers the gateway makes from streams.
LEFT, RIGHT = (("left", "ok"),), (("right", "ok"),)
GONE = (("left", "cancelled"),)
BROKEN = (("left", "broken"),)
FULL = (("left", "busy"),)
LATE = (("left", "timeout"),)

OK_PLAIN = Case("ok plain", "ok", 200, chat(), tokens=(6, 16), attempts=LEFT)
OK_STREAM = Case("ok stream", "ok", 200, chat(stream=True), said=16, tokens=(6, 16), attempts=LEFT)

# Held at a gate: how a test lets a request stand at an exact point while it kills or recycles something.
HELD = (
    Case("plain, held", "ok", 200, chat(), hold=0, tokens=(6, 16), attempts=LEFT),
    Case("held before its role", "ok", 200, chat(stream=True), hold=0, said=16, tokens=(6, 16), attempts=LEFT),
    Case("held behind its role", "ok", 200, chat(stream=True), hold=1, said=16, tokens=(6, 16), attempts=LEFT),
    Case("held behind 3 tokens", "ok", 200, chat(stream=True), hold=4, said=16, tokens=(6, 16), attempts=LEFT),
    Case("held before [DONE]", "ok", 200, chat(stream=True), hold=17, said=16, tokens=(6, 16), attempts=LEFT),
)

HALF = Case("half a body, held", "ok", 200, chat(), half=True)

# By how often each is sent of about a hundred.
MIXED: dict[Case, int] = {
    OK_PLAIN: 14,
    OK_STREAM: 14,
    Case("ok cached", "ok", 200, chat(prompt_tokens=50, cached_tokens=32), tokens=(50, 16, 32), attempts=LEFT): 3,
    Case("ok, thought", "ok", 200, chat(stream=True, reasoning_tokens=9), said=16, tokens=(6, 16, 0, 9),
         attempts=LEFT): 2,
    Case("ok, one token", "ok", 200, chat(stream=True, tokens=1), said=1, tokens=(6, 1), attempts=LEFT): 2,
    Case(
        "ok, usage asked for", "ok", 200, {**chat(stream=True), "stream_options": {"include_usage": True}}, said=16,
        tokens=(6, 16), attempts=LEFT,
    ): 2,
    Case(
        "ok text stream", "ok", 200, {"model": "left", "prompt": "one two", "stream": True, "max_tokens": 5},
        route=COMPLETIONS, said=5, tokens=(2, 5), attempts=LEFT,
    ): 4,
    Case(
        "ok embedding", "ok", 200, {"model": "left", "input": "one two three"}, route=EMBEDDINGS, tokens=(3, 0),
        attempts=LEFT,
    ): 3,
    Case("ok plain of llama.cpp", "ok", 200, chat("right"), model="right", tokens=(6, 16), attempts=RIGHT): 5,
    Case(
        "ok stream of llama.cpp", "ok", 200, chat("right", stream=True), model="right", said=16, tokens=(6, 16),
        attempts=RIGHT,
    ): 4,
    Case("ok models", "ok", 200, route=MODELS, model="none", method="GET"): 1,
    Case("ok, held", "ok", 200, chat(stream=True), hold=4, said=16, tokens=(6, 16), attempts=LEFT): 2,
    Case("plain, cancelled", "cancelled", 499, chat(), hold=0, leaves=True, attempts=GONE): 5,
    Case("cancelled before its role", "cancelled", 499, chat(stream=True), hold=0, leaves=True, attempts=GONE): 5,
    Case("cancelled behind its role", "cancelled", 200, chat(stream=True), hold=1, leaves=True, attempts=GONE): 4,
    Case("cancelled at 1", "cancelled", 200, chat(stream=True), hold=2, leaves=True, said=1, attempts=GONE): 4,
    Case("cancelled at 7", "cancelled", 200, chat(stream=True), hold=8, leaves=True, said=7, attempts=GONE): 4,
    Case("cancelled at [DONE]", "cancelled", 200, chat(stream=True), hold=17, leaves=True, said=16, attempts=GONE): 2,
    Case(
        "plain of llama.cpp, cancelled", "cancelled", 499, chat("right"), model="right", hold=1, leaves=True,
        attempts=(("right", "cancelled"),),
    ): 2,
    Case(
        "plain of llama.cpp, cut", "engine_error", 502, chat("right", fault="end_without_done:3"), model="right",
        wasted=3, attempts=(("right", "broken"),),
    ): 2,
    Case("left in its body", "cancelled", 499, chat(), half=True, leaves=True, model="none"): 2,
    Case("wrong key", "client_error", 401, chat(), model="none", key="wrong", keyed=False,
        refusal="invalid_api_key"): 4,
    Case("no key", "client_error", 401, chat(), model="none", key=None, refusal="missing_api_key"): 2,
    Case("revoked", "client_error", 401, chat(), model="none", key="gone", keyed=False, refusal="revoked_api_key"): 2,
    Case("expired", "client_error", 401, chat(), model="none", key="old", keyed=False, refusal="expired_api_key"): 2,
    Case(
        "models, wrong key", "client_error", 401, route=MODELS, method="GET", model="none", key="wrong", keyed=False,
        refusal="invalid_api_key",
    ): 1,
    Case("not its model", "client_error", 403, chat(), model="none", key="narrow"): 2,
    Case("unknown model", "client_error", 404, chat("made-up"), model="other"): 4,
    Case("unknown model, stream", "client_error", 404, chat("made-up", stream=True), model="other"): 1,
    Case("broken JSON", "client_error", 400, b'{"model": "left", ', model="none"): 3,
    Case("no model", "client_error", 400, {"messages": []}, model="none"): 2,
    Case("too large", "client_error", 413, b" " * (MOST_BYTES + 1), model="none"): 1,
    Case(
        "unknown path", "client_error", 404, chat(), route="/v1/made-up", label="other", model="none", keyed=False
    ): 2,
    Case("wrong method", "client_error", 405, method="GET", model="none", keyed=False): 2,
    Case("engine says 400", "client_error", 400, chat(fault="context_length"), attempts=(("left", "rejected"),)): 2,
    Case("engine says 422", "client_error", 422, chat(fault="status:422"), attempts=(("left", "rejected"),)): 2,
    Case("engine says 429", "rate_limited", 429, chat(fault="status:429"), attempts=FULL): 1,
    Case(
        "engine says at 3 that the prompt does not fit", "client_error", 200,
        chat(stream=True, fault="context_event:3"), hold=4, said=3, broken=True, attempts=(("left", "rejected"),),
    ): 1,
    Case("engine says 500", "engine_error", 502, chat(fault="status:500"), attempts=BROKEN): 2,
    Case("engine says 503", "engine_error", 503, chat(stream=True, fault="status:503"), attempts=FULL): 2,
    Case("engine says HTML", "engine_error", 502, chat(stream=True, fault="html"), attempts=BROKEN): 1,
    Case("engine resets", "engine_error", 502, chat(fault="reset"), attempts=(("left", "reset"),)): 2,
    Case("engine fails first", "engine_error", 502, chat(stream=True, fault="error_event:0"), attempts=BROKEN): 1,
    Case(
        "breaks at 3", "stream_error", 200, chat(stream=True, fault="break:3"), hold=4, said=3, broken=True,
        attempts=(("left", "reset"),),
    ): 3,
    Case(
        "ends without [DONE] at 2", "stream_error", 200, chat(stream=True, fault="end_without_done:2"), hold=3, said=2,
        broken=True, attempts=BROKEN,
    ): 3,
    Case(
        "error event at 5", "stream_error", 200, chat(stream=True, fault="error_event:5"), hold=6, said=5, broken=True,
        attempts=BROKEN,
    ): 2,
}  # fmt: skip

# For a gateway that waits for seconds only.
TIMEOUTS: dict[Case, int] = {
    Case("no head", "timeout", 504, chat(stream=True, fault="hang"), attempts=LATE, phase="ttft"): 6,
    Case("no first event", "timeout", 504, chat(stream=True, fault="headers_then_hang"), attempts=LATE,
         phase="ttft"): 4,
    Case("no answer", "timeout", 504, chat(fault="hang"), attempts=LATE, phase="total"): 6,
    Case(
        "stall at 2", "timeout", 200, chat(stream=True, fault="stall:2"), said=2, broken=True, attempts=LATE,
        phase="idle",
    ): 6,
    Case("too long", "timeout", 200, slow(), said=None, broken=True, attempts=LATE, phase="total"): 6,
    Case("body stops", "client_error", 408, chat(), half=True, model="none"): 4,
}  # fmt: skip

# When the grace of a worker that has to stop runs out.
UNFINISHED = (
    Case("plain, interrupted", "internal_error", 503, chat(), hold=0, attempts=GONE),
    Case("stream, interrupted", "stream_error", 200, slow(), said=None, broken=True, attempts=GONE),
)

# `twin` serves nothing that `right` does not: it can be taken out.
FELL_OVER = Case(
    "twin answers 500, right helps", "ok", 200, chat("twin"), model="twin", tokens=(6, 16),
    attempts=(("twin", "broken"), ("right", "ok")),
)  # fmt: skip
EJECTED = Case("twin is out", "ok", 200, chat("twin"), model="twin", tokens=(6, 16), attempts=RIGHT)
ALONE = Case("right alone", "ok", 200, chat("right"), model="right", tokens=(6, 16), attempts=RIGHT)
# Two engines serve `shared`; `left` is asked first.
DOWN = Case("left is down", "ok", 200, chat("shared"), model="shared", tokens=(6, 16), attempts=RIGHT)
KILLED_EARLY = Case(
    "left is killed before the answer", "ok", 200, chat("shared"), model="shared", hold=0, tokens=(6, 16),
    attempts=(("left", "reset"), ("right", "ok")),
)  # fmt: skip
KILLED_LATE = Case(
    "left is killed behind 3 tokens", "stream_error", 200, chat(stream=True), hold=4, said=3, broken=True,
    attempts=(("left", "reset"),),
)  # fmt: skip
NOBODY = Case("nobody left to ask", "engine_error", 503, chat())
LAST_REFUSES = Case(
    "the last one refuses", "engine_error", 503, chat("right"), model="right", attempts=(("right", "unreachable"),)
)
NOBODY_AT_ALL = Case("nobody left to ask at all", "engine_error", 503, chat("right"), model="right")
DEAF = Case("left is deaf", "timeout", 504, chat(), attempts=LATE, phase="connect")

FLEET = (*(FELL_OVER, ALONE, EJECTED, DOWN, KILLED_EARLY, KILLED_LATE, NOBODY, LAST_REFUSES, NOBODY_AT_ALL, DEAF),)
ALL: tuple[Case, ...] = tuple(chain(MIXED, TIMEOUTS, HELD, UNFINISHED, FLEET))
