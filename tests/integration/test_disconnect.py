"""A client that disconnects, at any time and in any way, frees the engine within a second and counts as cancelled."""

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
MAX_IDLE_DELAY_S = 1.0
PLAIN, EARLY, LATE = "plain", "before the first token", "mid-stream"
Disconnect = Callable[[RawConnection], float]


@pytest.fixture
def direct(engine: Engine) -> Iterator[httpx.Client]:
    with engine.http as http:
        yield http


def endless(engine: Engine, number: int, *, stream: bool, long: bool = False) -> dict[str, Any]:
    """A request that keeps an engine busy and is in no prefix cache; a long one keeps it busy with its prompt."""
    prompt = " ".join(f"{number}.{word}" for word in range(engine.context() // 16 if long else 5))
    share = 0.3 if long else 0.75
    return {
        "model": DEMO, "messages": [{"role": "user", "content": prompt}], "ignore_eos": True, "stream": stream,
        "max_tokens": int(engine.context() * share),
    }  # fmt: skip


def disconnect_and_wait(
    gateway: Gateway, engine: Engine, direct: httpx.Client, when: str, disconnect: Disconnect, number: int
) -> float:
    """Starts a request, disconnects, and returns the seconds until the engine is idle by its own metric."""
    body = endless(engine, number, stream=when != PLAIN, long=when == EARLY)
    with RawConnection(gateway.port) as raw:
        raw.send(encode_request(CHAT, body, key=gateway.key))
        if when == LATE:
            raw.read_until_first_token()
        elif when == PLAIN:
            until(lambda: engine.busy(direct) > 0, 5, "the engine is busy", pause=0.002)
        else:  # while it processes the prompt; a request to llama.cpp would wait for that
            time.sleep(0.015)
        gone = disconnect(raw)
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
    variants = itertools.cycle(itertools.product((LATE, EARLY, PLAIN), (RawConnection.reset, RawConnection.close)))
    for number, (when, disconnect) in zip(range(DISCONNECTS), variants, strict=False):
        took[when].append(disconnect_and_wait(gateway, engine, direct, when, disconnect, number))
    durations = [seconds for times in took.values() for seconds in times]
    measured(
        f"{len(durations)} disconnects from {engine.name}, idle after: p50 {statistics.median(durations):.3f} s, "
        f"max {max(durations):.3f} s; "
        + ", ".join(f"{when} p50 {statistics.median(times):.3f} max {max(times):.3f}" for when, times in took.items())
        + f"; undisturbed such a request takes {whole_s:.1f} s and {whole} tokens"
    )
    assert len(durations) == DISCONNECTS
    assert max(durations) <= MAX_IDLE_DELAY_S
    # They did not just end by themselves: together they generated a fraction of what was requested.
    assert engine.generated(direct) - made < DISCONNECTS * whole * 0.6
    after = gateway.scrape_when_idle()
    assert_all_are_cancelled(before, after, {when: len(times) for when, times in took.items()})
    assert gateway.is_ready()


def assert_all_are_cancelled(before: Samples, after: Samples, disconnects: dict[str, int]) -> None:
    labels = ("route", "model", "stream", "outcome", "code")
    counted = risen(before.by("gateway_requests_total", *labels), after.by("gateway_requests_total", *labels))
    begun = counted.pop((CHAT, DEMO, "true", "cancelled", "200"))
    # An early one may be too late: its first event has just been sent.
    assert disconnects[LATE] <= begun < disconnects[LATE] + disconnects[EARLY]
    assert counted == {
        (CHAT, DEMO, "false", "cancelled", "499"): disconnects[PLAIN],
        (CHAT, DEMO, "true", "cancelled", "499"): disconnects[EARLY] + disconnects[LATE] - begun,
    }
    phases = risen(before.by("gateway_cancellations_total", "phase"), after.by("gateway_cancellations_total", "phase"))
    assert sum(phases.values()) == sum(disconnects.values())
    assert disconnects[LATE] <= phases[("after_first_event",)] <= begun


def test_sixteen_clients_that_disconnect_together_free_the_engine(
    gateway: Gateway, engine: Engine, direct: httpx.Client
) -> None:
    clients = [RawConnection(gateway.port) for _ in range(16)]
    for number, raw in enumerate(clients):
        raw.send(encode_request(CHAT, endless(engine, 1000 + number, stream=number % 2 == 0), key=gateway.key))
    until(lambda: engine.busy(direct) >= 4, 10, "the engine is busy")
    for raw in clients:
        gone = raw.reset()
    until(lambda: engine.busy(direct) == 0, 10, "the engine is idle", pause=0.005)
    # llama.cpp checks once a second whether the client of a request that waits for a slot is still connected.
    assert time.monotonic() - gone <= MAX_IDLE_DELAY_S + (2 if engine.kind == "llamacpp" else 0)


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
