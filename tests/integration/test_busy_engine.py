"""A busy engine is not a broken one: the real llama.cpp with one slot, slowed down, under more load than it handles."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.program import frozen, until
from tests.support.services import Services

pytestmark = [pytest.mark.serial, pytest.mark.timing]

CHAT = "/v1/chat/completions"
QUESTION = {"model": DEMO, "messages": [{"role": "user", "content": "What is Glasshouse?"}]}


@contextlib.contextmanager
def slowed(pid: int, *, share: float) -> Iterator[None]:
    """A process gets only this share of the time."""
    ended = threading.Event()
    period = 0.05

    def throttle() -> None:
        while not ended.is_set():
            os.kill(pid, signal.SIGSTOP)
            ended.wait(period * (1 - share))
            os.kill(pid, signal.SIGCONT)
            ended.wait(period * share)

    thread = threading.Thread(target=throttle)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        os.kill(pid, signal.SIGCONT)


def long_answers(gateway: Gateway, *, clients: int, seconds: float, tokens: int) -> list[int]:
    """Statuses of plain requests that together keep an engine busy for this long; none is streamed."""
    deadline = time.monotonic() + seconds

    def client(_: int) -> list[int]:
        statuses = []
        with httpx.Client(base_url=gateway.url, timeout=300, trust_env=False) as http:
            while time.monotonic() < deadline:
                fields = {"max_tokens": tokens, "ignore_eos": True}
                answer = http.post(
                    CHAT, json={**QUESTION, **fields}, headers={"authorization": f"Bearer {gateway.key}"}
                )
                statuses.append(answer.status_code)
        return statuses

    with ThreadPoolExecutor(clients) as pool:
        return [status for statuses in pool.map(client, range(clients)) for status in statuses]


def _stays_in_rotation(
    services: Services, measured: Callable[[str], None], *, seconds: float, share: float, tokens: int, **settings: str
) -> None:
    engine = services.llamacpp(LLAMACPP_PARALLEL="1")
    gateway = services.gateway(engine, **settings)
    unready, polls = [], 0
    with slowed(engine.engine_pid(), share=share), ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        answers = pool.submit(long_answers, gateway, clients=2, seconds=seconds, tokens=tokens)
        while not answers.done():
            polls += 1
            if not gateway.is_ready():
                unready.append(time.monotonic() - began)
            time.sleep(0.2)
    statuses = answers.result()
    samples = gateway.scrape_when_idle()
    ejections = samples.total("gateway_engine_ejections_total")
    refused = samples.total("gateway_requests_total", code="503")
    measured(
        f"busy llama.cpp, PARALLEL=1, at {share:.0%} of its speed for {time.monotonic() - began:.0f} s: "
        f"{len(statuses)} plain requests, ejections {ejections:.0f}, 503s {refused:.0f}, "
        f"/readyz not ready {len(unready)} of {polls}"
    )
    assert set(statuses) == {200}
    assert (ejections, refused, unready) == (0, 0, [])
    assert samples.total("gateway_engine_state", state="ready") == 1


def test_an_engine_whose_probe_waits_behind_long_responses_stays_ready(
    services: Services, measured: Callable[[str], None]
) -> None:
    """With short limits, so that more probes fail than would eject it."""
    _stays_in_rotation(
        services, measured, seconds=15, share=0.04, tokens=500, PROBE_INTERVAL="0.5", PROBE_TIMEOUT="0.5"
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_same_with_the_default_limits(services: Services, measured: Callable[[str], None]) -> None:
    _stays_in_rotation(services, measured, seconds=120, share=0.02, tokens=1000)


def test_plain_requests_at_a_hung_engine_are_retried_on_another(
    services: Services, measured: Callable[[str], None]
) -> None:
    """A plain response has no time limit, but that the engine makes no progress is detected."""
    engines = [services.llamacpp(name=name) for name in ("a", "b")]
    gateway = services.gateway(*engines, TTFT_TIMEOUT="120", PROBE_TIMEOUT="1", PROBE_INTERVAL="1")
    hung = engines[0]
    with frozen(hung.engine_pid()), ThreadPoolExecutor(4) as pool:
        began = time.monotonic()
        answers = [pool.submit(_ask, gateway) for _ in range(4)]
        assert [answer.result(timeout=90) for answer in answers] == [200] * 4
        took = time.monotonic() - began
        until(
            lambda: gateway.scrape().total("gateway_engine_state", engine="a", state="ready") == 0, 30, "a is ejected"
        )
    measured(f"plain requests at a frozen llama.cpp: all answered by the other one within {took:.1f} s")
    until(
        lambda: gateway.scrape().total("gateway_engine_state", engine="a", state="ready") == 1, 30, "a is ready again"
    )


def _ask(gateway: Gateway) -> int:
    with gateway.http as http:
        return http.post(CHAT, json={**QUESTION, "max_tokens": 5}, timeout=100).status_code


def test_a_single_engine_that_was_restarted_serves_after_its_first_successful_probe(
    services: Services, measured: Callable[[str], None]
) -> None:
    """Killed under load and restarted at once by its launcher, several times: it is never ejected for that."""
    engine: Engine = services.llamacpp()
    gateway = services.gateway(engine)
    waits = []
    for _ in range(4):
        with ThreadPoolExecutor(8) as pool:
            streams = [pool.submit(_stream, gateway) for _ in range(8)]
            until(lambda: gateway.scrape().total("gateway_inflight_requests") >= 1, 10, "requests are in flight")
            os.kill(engine.engine_pid(), signal.SIGKILL)
            for stream in streams:
                stream.result(timeout=60)
        until(engine.is_ready, 30, "its launcher has started it again")
        waits.append(until(lambda: _ask(gateway) == 200, 30, "it serves again"))
    ejections = gateway.scrape().total("gateway_engine_ejections_total")
    measured(
        f"a lone llama.cpp killed under 8 streams four times: served again after at most {max(waits):.2f} s of its "
        f"being ready, ejections {ejections:.0f}"
    )
    assert ejections == 0


def _stream(gateway: Gateway) -> None:
    fields = {"stream": True, "max_tokens": 400, "ignore_eos": True}
    with contextlib.suppress(httpx.TransportError), gateway.http as http:
        http.post(CHAT, json={**QUESTION, **fields}, timeout=60)
