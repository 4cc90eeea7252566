"""Every counter of the gateway against the truth that the test and the mock engine keep, over workers that die."""

import asyncio
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from tests.integration.parts.gateway import Gateway
from tests.integration.parts.mock import Mock, chat
from tests.integration.parts.program import until
from tests.integration.parts.samples import Samples, risen
from tests.integration.parts.stage import Stage
from tests.integration.parts.traffic import CHAT, KINDS, OK_PLAIN, OK_STREAM, Kind, Ledger, Traffic

SLOW_STREAMS = 20
SLOW = Kind(
    "slow stream", "ok", 200, chat(stream=True, mock={"tokens": 100, "interval_s": 0.05}), tokens=(6, 100), sent=100,
    attempt="ok",
)  # fmt: skip
TIMEOUTS = {"TTFT_TIMEOUT": "2", "IDLE_TIMEOUT": "2", "TOTAL_TIMEOUT": "9"}
REQUEST_LABELS = ("route", "model", "stream", "outcome", "code")
# Asked by the tests themselves while they wait.
WATCHED = {"/livez", "/readyz"}


@contextmanager
def never_falling(gateway: Gateway) -> Iterator[list[str]]:
    """Scrapes all the time; yields what has fallen from one scrape to the next, and scrapes that failed."""
    fallen: list[str] = []
    scrapes: list[Samples] = []
    stopped = threading.Event()

    def scrape() -> None:
        while not stopped.wait(0.1):
            try:
                scrapes.append(gateway.scrape())
            except httpx.HTTPError as error:
                fallen.append(f"a scrape failed: {error}")
                continue
            if len(scrapes) > 1:
                fallen.extend(scrapes[-1].fallen_since(scrapes[-2]))

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield fallen
    finally:
        stopped.set()
        thread.join()
    assert len(scrapes) > 10, "too few scrapes to tell"


def settled(gateway: Gateway) -> Samples:
    """A scrape once nothing is in flight any more and all workers live."""
    until(lambda: gateway.scrape().total("gateway_inflight_requests") == 0 and gateway.is_up(), 20, "nothing in flight")
    return gateway.scrape()


def requests(samples: Samples) -> dict[tuple[str, ...], float]:
    found = samples.by("gateway_requests_total", *REQUEST_LABELS)
    return {labels: count for labels, count in found.items() if labels[0] not in WATCHED}


async def mixed_traffic(gateway: Gateway, traffic: Traffic) -> int:
    """500 requests, with a worker killed half-way; returns the pid of the worker that was."""
    mixed = list(Counter(KINDS).elements())
    assert len(mixed) + SLOW_STREAMS >= 500
    random.Random(7).shuffle(mixed)  # noqa: S311 - the same order every time
    half = len(mixed) // 2
    await traffic.send_all(mixed[:half])
    # At the kill only slow streams are under way, all past their first token: so what is lost is known exactly.
    begun = [asyncio.Event() for _ in range(SLOW_STREAMS)]
    slow = [asyncio.create_task(traffic.send(SLOW, event)) for event in begun]
    await asyncio.gather(*(event.wait() for event in begun))
    # Which worker takes how many is the kernel's choice; the one that has most has some to lose.
    victim = max(gateway.program.children(), key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208
    os.kill(victim, signal.SIGKILL)
    await traffic.send_all(mixed[half:])
    await asyncio.gather(*slow)
    return victim


async def test_after_500_mixed_requests_and_a_killed_worker_every_counter_is_true(
    stage: Stage, measured: Callable[[str], None]
) -> None:
    mock = stage.mock()
    gateway = stage.gateway(mock, workers=2, **TIMEOUTS)
    before = gateway.scrape()
    mock.change(reset=True)
    traffic = Traffic(gateway.port, gateway.key)
    with never_falling(gateway) as fallen:
        victim = await mixed_traffic(gateway, traffic)
        after = await asyncio.to_thread(settled, gateway)
    ledger = traffic.ledger
    assert ledger.wrong == []
    assert fallen == []
    assert victim not in gateway.program.children()
    assert after.total("gateway_worker_up") == 2

    # Nothing but slow streams was lost: those of the worker that was killed.
    assert set(ledger.lost) == {SLOW}
    assert ledger.lost.total() + ledger.ended[SLOW] == SLOW_STREAMS
    assert_requests_are_true(before, after, ledger)
    assert_attempts_are_true(before, after, ledger, mock)
    assert_tokens_are_true(before, after, ledger)
    measured(table(before, after, ledger))


def assert_requests_are_true(before: Samples, after: Samples, ledger: Ledger) -> None:
    finished = risen(requests(before), requests(after))
    assert finished == ledger.by(lambda kind: kind.labels)
    started = risen(
        before.by("gateway_requests_started_total", "route", "model"),
        after.by("gateway_requests_started_total", "route", "model"),
    )
    expected = Counter(ledger.by(lambda kind: kind.labels[:2])) + Counter({(CHAT, "mock"): ledger.lost.total()})
    assert {labels: count for labels, count in started.items() if labels[0] not in WATCHED} == expected
    durations = risen(
        before.by("gateway_request_duration_seconds_count", "route", "model", "stream"),
        after.by("gateway_request_duration_seconds_count", "route", "model", "stream"),
    )
    assert {labels: count for labels, count in durations.items() if labels[0] not in WATCHED} == ledger.by(
        lambda kind: kind.labels[:3]
    )
    refused = risen(
        before.by("gateway_auth_failures_total", "reason"), after.by("gateway_auth_failures_total", "reason")
    )
    assert refused == ledger.by(lambda kind: {"wrong": ("invalid_api_key",), None: ("missing_api_key",)}.get(kind.key)
                                if kind.code == 401 else None)  # fmt: skip
    timeouts = risen(before.by("gateway_timeouts_total", "phase"), after.by("gateway_timeouts_total", "phase"))
    phases = {"no first event": ("ttft",), "no answer": ("total",), "stall": ("idle",)}
    assert timeouts == ledger.by(lambda kind: phases.get(kind.name))
    cancelled = risen(
        before.by("gateway_cancellations_total", "phase"), after.by("gateway_cancellations_total", "phase")
    )
    assert cancelled == ledger.by(lambda kind: (f"{kind.leave}_first_event",) if kind.leave else None)
    assert sum(cancelled.values()) == 100


def assert_attempts_are_true(before: Samples, after: Samples, ledger: Ledger, mock: Mock) -> None:
    attempts = risen(
        before.by("gateway_engine_requests_total", "result"), after.by("gateway_engine_requests_total", "result")
    )
    assert attempts == ledger.by(lambda kind: (kind.attempt,) if kind.attempt else None)
    assert after.total("gateway_engine_retries_total") == 0
    # The engine's own account: it saw what was attempted and what was lost, and nobody left it but those who did.
    mock.wait_idle()
    truth = mock.truth()
    assert truth["requests"] == sum(attempts.values()) + ledger.lost.total()
    assert truth["finished"] == sum(count for kind, count in ledger.ended.items() if kind.attempt == "ok")
    hung = attempts[("timeout",)]  # a timeout cuts the connection, which an engine cannot tell from a cancel
    assert truth["cancelled"] == attempts[("cancelled",)] + hung + ledger.lost.total()


def assert_tokens_are_true(before: Samples, after: Samples, ledger: Ledger) -> None:
    tokens = risen(before.by("gateway_tokens_total", "type"), after.by("gateway_tokens_total", "type"))
    by_key = risen(
        before.by("gateway_key_tokens_total", "key", "type"), after.by("gateway_key_tokens_total", "key", "type")
    )
    for index, name in enumerate(("input", "output")):
        spent = sum(kind.tokens[index] * count for kind, count in ledger.ended.items())
        assert tokens[(name,)] == spent
        assert by_key[("tester", name)] == spent
    keys = risen(before.by("gateway_key_requests_total", "key"), after.by("gateway_key_requests_total", "key"))
    unknown = ("unknown path", "wrong method")  # nobody asked these for a key
    assert keys == ledger.by(lambda kind: ("tester",) if kind.key == "good" and kind.name not in unknown else None)
    wasted = risen(
        before.by("gateway_wasted_tokens_total", "reason"), after.by("gateway_wasted_tokens_total", "reason")
    )
    told = Counter[str]()
    for kind, count in ledger.ended.items():
        if kind.sent and kind.outcome != "ok":
            told[kind.outcome] += kind.sent * count
    assert wasted[("stream_error",)] == told["stream_error"]
    assert wasted[("timeout",)] == told["timeout"]
    assert wasted[("cancelled",)] >= told["cancelled"]  # some tokens more may have gone out before they left
    first = after.total("gateway_time_to_first_token_seconds_count")
    first -= before.total("gateway_time_to_first_token_seconds_count")
    assert first == sum(count for kind, count in ledger.ended.items() if kind.sent)


def table(before: Samples, after: Samples, ledger: Ledger) -> str:
    finished = sum(risen(requests(before), requests(after)).values())
    lines = [f"started {finished + ledger.lost.total():g} = finished {finished:g} + lost {ledger.lost.total()}"]
    ended = sorted(ledger.by(lambda kind: f"{kind.outcome} {kind.code}").items())
    return "\n".join([*lines, *(f"  {outcome:22}{count:5g}" for outcome, count in ended)])


async def test_a_reload_under_load_fails_no_request_and_lets_no_counter_fall(stage: Stage) -> None:
    mock = stage.mock()
    gateway = stage.gateway(mock, workers=2)
    before = gateway.scrape()
    old = gateway.program.children()
    traffic = Traffic(gateway.port, gateway.key, at_once=8)
    with never_falling(gateway) as fallen:
        begun = [asyncio.Event() for _ in range(10)]
        slow = [asyncio.create_task(traffic.send(SLOW, event)) for event in begun]
        await asyncio.gather(*(event.wait() for event in begun))
        gateway.program.send(signal.SIGHUP)
        sent = 0
        while not set(gateway.program.children()).isdisjoint(old) or not all(task.done() for task in slow):
            await traffic.send_all([OK_PLAIN, OK_STREAM] * 4)
            sent += 8
            assert sent < 20_000, "the old workers do not go"
        await asyncio.gather(*slow)
        after = await asyncio.to_thread(settled, gateway)
    assert (traffic.ledger.wrong, traffic.ledger.lost) == ([], Counter())
    assert fallen == []
    assert risen(requests(before), requests(after)) == traffic.ledger.by(lambda kind: kind.labels)


async def test_a_stop_under_load_lets_running_streams_finish(stage: Stage) -> None:
    mock = stage.mock()
    gateway = stage.gateway(mock, workers=2)
    traffic = Traffic(gateway.port, gateway.key)
    begun = [asyncio.Event() for _ in range(10)]
    slow = [asyncio.create_task(traffic.send(SLOW, event)) for event in begun]
    await asyncio.gather(*(event.wait() for event in begun))
    gateway.program.send(signal.SIGTERM)
    await asyncio.gather(*slow)
    assert (traffic.ledger.wrong, traffic.ledger.lost) == ([], Counter())
    assert await asyncio.to_thread(gateway.program.wait, 10) == 0
    assert mock.truth()["finished"] == 10


async def test_what_outlasts_the_grace_is_told_so(stage: Stage) -> None:
    mock = stage.mock()
    gateway = stage.gateway(mock, SHUTDOWN_GRACE="5")
    endless = Kind(
        "endless", "stream_error", 200, chat(stream=True, mock={"tokens": 900, "interval_s": 0.1}), broken=True
    )
    traffic = Traffic(gateway.port, gateway.key)
    begun = asyncio.Event()
    running = asyncio.create_task(traffic.send(endless, begun))
    await begun.wait()
    gateway.program.send(signal.SIGTERM)
    await running
    assert traffic.ledger.wrong == []
    assert traffic.ledger.lost == Counter()
    assert await asyncio.to_thread(gateway.program.wait, 10) == 0
    assert mock.wait_idle() < 5
    (line,) = gateway.lines(event="request", outcome="stream_error")
    assert line["error_code"] == "shutting_down"
