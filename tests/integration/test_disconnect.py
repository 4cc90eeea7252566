"""A client that goes away, however and whenever, frees the engine within a second and is counted as cancelled."""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.http.connection import RawConnection
from tests.support.http.message import encode_request
from tests.support.program import until
from tests.support.samples import Samples, risen

pytestmark = [pytest.mark.timing, pytest.mark.parametrize("gateway", [2], indirect=True, ids=["2w"])]

CHAT = "/v1/chat/completions"
DISCONNECTS = 50
FREE_WITHIN_S = 1.0
PLAIN, EARLY, LATE = "plain", "before the first token", "mid-stream"
Go = Callable[[RawConnection], float]


@pytest.fixture
def direct(engine: Engine) -> Iterator[httpx.Client]:
    with engine.http as http:
        yield http


def endless(engine: Engine, number: int, *, stream: bool, long: bool = False) -> dict[str, Any]:
    """A request that keeps an engine busy, and that no prefix cache knows; a long one with reading its prompt."""
    prompt = " ".join(f"{number}.{word}" for word in range(engine.context() // 16 if long else 5))
    share = 0.3 if long else 0.75
    return {
        "model": DEMO, "messages": [{"role": "user", "content": prompt}], "ignore_eos": True, "stream": stream,
        "max_tokens": int(engine.context() * share),
    }  # fmt: skip


def leave(gateway: Gateway, engine: Engine, direct: httpx.Client, when: str, go: Go, number: int) -> float:
    """Begins a request, leaves it, and returns the seconds until the engine is idle by its own metric."""
    body = endless(engine, number, stream=when != PLAIN, long=when == EARLY)
    with RawConnection(gateway.port) as raw:
        raw.send(encode_request(CHAT, body, key=gateway.key))
        if when == LATE:
            raw.read_until_first_token()
        elif when == PLAIN:
            until(lambda: engine.busy(direct) > 0, 5, "the engine is at it", pause=0.002)
        else:  # while it reads the prompt; asking llama.cpp would wait until it has
            time.sleep(0.015)
        gone = go(raw)
    until(lambda: engine.busy(direct) == 0, 30, "the engine is idle", pause=0.005)
    return time.monotonic() - gone


def test_fifty_disconnects_free_the_engine_within_a_second(
    gateway: Gateway, engine: Engine, direct: httpx.Client, measured: Callable[[str], None]
) -> None:
    began, made = time.monotonic(), engine.generated(direct)
    direct.post(CHAT, json=endless(engine, -1, stream=False)).raise_for_status()
    whole_s, whole = time.monotonic() - began, engine.generated(direct) - made
    until(lambda: engine.busy(direct) == 0, 5, "the engine is idle")
    before, made = gateway.scrape_when_idle(), engine.generated(direct)
    took: dict[str, list[float]] = {PLAIN: [], EARLY: [], LATE: []}
    ways = itertools.cycle(itertools.product((LATE, EARLY, PLAIN), (RawConnection.reset, RawConnection.close)))
    for number, (when, go) in zip(range(DISCONNECTS), ways, strict=False):
        took[when].append(leave(gateway, engine, direct, when, go, number))
    every = [seconds for times in took.values() for seconds in times]
    measured(
        f"{len(every)} disconnects from {engine.name}, idle after: p50 {statistics.median(every):.3f} s, "
        f"max {max(every):.3f} s; "
        + ", ".join(f"{when} p50 {statistics.median(times):.3f} max {max(times):.3f}" for when, times in took.items())
        + f"; undisturbed such a request takes {whole_s:.1f} s and {whole} tokens"
    )
    assert len(every) == DISCONNECTS
    assert max(every) <= FREE_WITHIN_S
    # It did not just come to its end: together they made a fraction of what they were asked for.
    assert engine.generated(direct) - made < DISCONNECTS * whole * 0.6
    after = gateway.scrape_when_idle()
    assert_all_are_cancelled(before, after, {when: len(times) for when, times in took.items()})
    assert gateway.is_ready()


def assert_all_are_cancelled(before: Samples, after: Samples, left: dict[str, int]) -> None:
    labels = ("route", "model", "stream", "outcome", "code")
    counted = risen(before.by("gateway_requests_total", *labels), after.by("gateway_requests_total", *labels))
    begun = counted.pop((CHAT, DEMO, "true", "cancelled", "200"))
    # One that leaves early may be a moment late: its first event has just gone out.
    assert left[LATE] <= begun < left[LATE] + left[EARLY]
    assert counted == {
        (CHAT, DEMO, "false", "cancelled", "499"): left[PLAIN],
        (CHAT, DEMO, "true", "cancelled", "499"): left[EARLY] + left[LATE] - begun,
    }
    phases = risen(before.by("gateway_cancellations_total", "phase"), after.by("gateway_cancellations_total", "phase"))
    assert sum(phases.values()) == sum(left.values())
    assert left[LATE] <= phases[("after_first_event",)] <= begun


def test_sixteen_clients_that_disconnect_together_free_the_engine(
    gateway: Gateway, engine: Engine, direct: httpx.Client
) -> None:
    clients = [RawConnection(gateway.port) for _ in range(16)]
    for number, raw in enumerate(clients):
        raw.send(encode_request(CHAT, endless(engine, 1000 + number, stream=number % 2 == 0), key=gateway.key))
    until(lambda: engine.busy(direct) >= 4, 10, "the engine is at it")
    for raw in clients:
        gone = raw.reset()
    until(lambda: engine.busy(direct) == 0, 10, "the engine is idle", pause=0.005)
    # llama.cpp looks once a second whether the client of a request that still waits for a slot is there.
    assert time.monotonic() - gone <= FREE_WITHIN_S + (2 if engine.kind == "llamacpp" else 0)


@pytest.mark.parametrize("half", [b'{"model": "glass', b""], ids=["half a body", "no body"])
def test_a_client_that_disconnects_during_its_upload_is_counted_as_cancelled(gateway: Gateway, half: bytes) -> None:
    before = gateway.scrape_when_idle()
    with RawConnection(gateway.port) as raw:
        raw.send(encode_request(CHAT, half, key=gateway.key, headers={"content-length": "4000"}))
        time.sleep(0.2)
        raw.reset()
    until(
        lambda: risen(
            before.by("gateway_requests_total", "outcome", "code"),
            gateway.scrape().by("gateway_requests_total", "outcome", "code"),
        ) == {("cancelled", "499"): 1}, 5, "the cancel is counted",
    )  # fmt: skip
