"""The gateways of the ledger tests with their engines, and the comparison of their counters with what happened."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import NamedTuple

from tests.integration.ledger.request_cases import MAX_BODY_BYTES
from tests.integration.ledger.scraper import rising, scrape
from tests.integration.ledger.traffic import Traffic
from tests.support.gateway import Gateway
from tests.support.mock import Mock
from tests.support.program import until
from tests.support.services import Services

# Workers poll their engines when they start and then no more: what happens is what the test does.
_NO_POLLING = {"DISCOVERY_INTERVAL": "3600", "PROBE_INTERVAL": "3600"}
_LONG_TIMEOUTS = {"CONNECT_TIMEOUT": "2", "MAX_BODY_BYTES": str(MAX_BODY_BYTES), **_NO_POLLING}
_SHORT_TIMEOUTS = {
    "TTFT_TIMEOUT": "3", "IDLE_TIMEOUT": "3", "TOTAL_TIMEOUT": "7", "SHUTDOWN_GRACE": "4", **_NO_POLLING,
}  # fmt: skip
_KEYS = {"gone": {"revoked": True}, "old": {"expires": "2020-01-01"}, "narrow": {"models": ["right"]}}
_SETTLED_S = 20.0
_MODELS = {
    "twin": ("twin",),
    "left": ("shared", "left"),
    "right": ("shared", "right", "twin"),
    "unhealthy": ("unhealthy",),
}


class Setup(NamedTuple):
    """A gateway, its traffic and its engines by name."""

    gateway: Gateway
    traffic: Traffic
    mocks: dict[str, Mock]


def long_timeouts(services: Services, workers: int) -> Setup:
    """A gateway with long timeouts and three engines; of two that serve a model, the first is chosen first."""
    mocks = {name: engine(services, name) for name in ("twin", "left", "right")}
    return _setup(services, mocks, workers, _LONG_TIMEOUTS)


def short_timeouts(services: Services, workers: int) -> Setup:
    """A gateway with timeouts of seconds; one of its engines never passes a probe."""
    mocks = {name: engine(services, name) for name in ("left", "unhealthy")}
    mocks["unhealthy"].change(probe_fault="status:500")
    return _setup(services, mocks, workers, _SHORT_TIMEOUTS)


def single_engine(services: Services, workers: int, **settings: str) -> Setup:
    """A gateway with default settings but for these, and one engine."""
    return _setup(services, {"left": engine(services, "left")}, workers, settings)


def engine(services: Services, name: str, *, port: int = 0) -> Mock:
    """A mock engine, on the port of an earlier one or a free one; its metrics always show it idle."""
    owner = "llamacpp" if name == "right" else "vllm"
    mock = services.mock(name=name, port=port, owned_by=owner, models=_MODELS[name])
    mock.change(running=0)
    return mock


def _setup(services: Services, mocks: dict[str, Mock], workers: int, settings: dict[str, str]) -> Setup:
    gateway = services.gateway(*mocks.values(), workers=workers, keys=_KEYS, **settings)
    keys = {"tester": gateway.key, "wrong": "gh-wrong", **{name: name for name in _KEYS}}
    return Setup(gateway, Traffic(gateway.port, keys, mocks.values()), mocks)


async def assert_counters_match(setup: Setup) -> None:
    """Every counter has its expected value, and nothing is in flight."""
    gateway, expected = setup.gateway, setup.traffic.expected
    assert not expected.failures, "\n".join(expected.failures)

    def differences() -> list[str]:
        samples = gateway.scrape()
        in_flight = samples.total("gateway_inflight_requests")
        return [*expected.differences(samples), *([f"{in_flight:g} in flight"] if in_flight else [])]

    with contextlib.suppress(AssertionError):
        await asyncio.to_thread(
            until, lambda: gateway.is_up() and not differences(), _SETTLED_S, "all counters have their expected values"
        )
    assert not (found := differences()), "\n".join(found)


def assert_keys_add_up(setup: Setup) -> None:
    """The requests of each key, over all outcomes, are those that it sent, and each has a duration."""
    samples, expected = setup.gateway.scrape(), setup.traffic.expected
    for key in setup.traffic.keys:
        sent = expected.requests_of_key(key)
        assert samples.total("gateway_key_requests_total", key=key) == sent, key
        assert samples.total("gateway_key_request_duration_seconds_count", key=key) == sent, key


def assert_no_new_series(setup: Setup, initial: Collection[str]) -> None:
    """Nothing that was requested has created a counter, a histogram or a summary: all were there at zero."""
    assert sorted(rising(scrape(setup.gateway)).difference(initial)) == []


def assert_engine_agrees(setup: Setup, name: str) -> None:
    """The engine's own counters: it saw what was attempted and what was lost, and no other client disconnected."""
    mock, expected = setup.mocks[name], setup.traffic.expected
    mock.wait_idle()
    stats, attempts = mock.stats(), expected.attempts(name)
    lost = sum(count for case, count in expected.lost.items() if case.engine == name)
    seen = {counter: stats[counter] for counter in ("requests", "finished", "cancelled")}
    # A timeout cuts the connection, which an engine cannot tell from a client that disconnects, or a worker that dies.
    cancelled = attempts["cancelled"] + attempts["timeout"] + lost
    wanted = {"requests": attempts.total() + lost, "finished": attempts["ok"], "cancelled": cancelled}
    # A request that is reset before a byte, on a connection that was used before, is sent once more over a new one.
    resent = seen["requests"] - wanted["requests"]
    assert 0 <= resent <= attempts["reset"], f"{name} has seen {seen}, expected {wanted}"
    wanted["requests"] += resent
    assert seen == wanted, f"{name} has seen {seen}, expected {wanted}"
