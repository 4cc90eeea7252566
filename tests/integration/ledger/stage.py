"""The two gateways of the ledger, and what is held against their books."""

import asyncio
import contextlib
from typing import NamedTuple

from tests.integration.ledger.cases import MOST_BYTES
from tests.integration.ledger.traffic import Traffic
from tests.support.gateway import Gateway
from tests.support.mock import Mock
from tests.support.program import until
from tests.support.stage import Stage

# Workers look at their engines when they start and then no more: what happens is what the test does.
_RARELY = {"DISCOVERY_INTERVAL": "3600", "PROBE_INTERVAL": "3600"}
_PATIENT = {"CONNECT_TIMEOUT": "2", "MAX_BODY_BYTES": str(MOST_BYTES), **_RARELY}
_IMPATIENT = {"TTFT_TIMEOUT": "3", "IDLE_TIMEOUT": "3", "TOTAL_TIMEOUT": "7", "SHUTDOWN_GRACE": "4", **_RARELY}
_KEYS = {"gone": {"revoked": True}, "old": {"expires": "2020-01-01"}, "narrow": {"models": ["right"]}}
_SETTLED_S = 20.0
_SERVES = {
    "twin": ("twin",),
    "left": ("shared", "left"),
    "right": ("shared", "right", "twin"),
    "sick": ("sick",),
}


class Scene(NamedTuple):
    """A gateway, its traffic and its engines by name."""

    gateway: Gateway
    traffic: Traffic
    mocks: dict[str, Mock]


def patient(stage: Stage, workers: int) -> Scene:
    """A gateway that waits for long, before three engines; of two that serve a model, the first is asked first."""
    mocks = {name: engine(stage, name) for name in ("twin", "left", "right")}
    return _scene(stage, mocks, workers, _PATIENT)


def impatient(stage: Stage, workers: int) -> Scene:
    """A gateway that waits for seconds only; one of its engines never passes a probe."""
    mocks = {name: engine(stage, name) for name in ("left", "sick")}
    mocks["sick"].change(probe_fault="status:500")
    return _scene(stage, mocks, workers, _IMPATIENT)


def lone(stage: Stage, workers: int, **settings: str) -> Scene:
    """A gateway as it comes, before one engine."""
    return _scene(stage, {"left": engine(stage, "left")}, workers, settings)


def engine(stage: Stage, name: str, *, port: int | None = None) -> Mock:
    """A mock engine, in place of one that was at `port`; always idle, by its own word."""
    owner = "llamacpp" if name == "right" else "vllm"
    mock = stage.mock(name=name, port=port, owned_by=owner, models=_SERVES[name])
    mock.change(running=0)
    return mock


def _scene(stage: Stage, mocks: dict[str, Mock], workers: int, settings: dict[str, str]) -> Scene:
    gateway = stage.gateway(*mocks.values(), workers=workers, keys=_KEYS, **settings)
    keys = {"tester": gateway.key, "wrong": "gh-wrong", **{name: name for name in _KEYS}}
    return Scene(gateway, Traffic(gateway.port, keys, mocks.values()), mocks)


async def assert_true(scene: Scene) -> None:
    """Every counter is what the book says, and nothing is in flight."""
    gateway, book = scene.gateway, scene.traffic.book
    assert not book.wrong, "\n".join(book.wrong)

    def mistakes() -> list[str]:
        samples = gateway.scrape()
        left_over = samples.total("gateway_inflight_requests")
        return [*book.mismatches(samples), *([f"{left_over:g} in flight"] if left_over else [])]

    with contextlib.suppress(AssertionError):
        await asyncio.to_thread(until, lambda: gateway.is_up() and not mistakes(), _SETTLED_S, "all is true")
    assert not (found := mistakes()), "\n".join(found)


def assert_engine_agrees(scene: Scene, name: str) -> None:
    """The engine's own account: it saw what was attempted and what was lost, and was left by nobody else."""
    mock, book = scene.mocks[name], scene.traffic.book
    mock.wait_idle()
    truth, told = mock.truth(), book.at(name)
    lost = sum(count for case, count in book.lost.items() if case.engine == name)
    seen = {name: truth[name] for name in ("requests", "finished", "cancelled")}
    # A timeout cuts the connection, which an engine cannot tell from a client that leaves, or a worker that dies.
    gone = told["cancelled"] + told["timeout"] + lost
    expected = {"requests": told.total() + lost, "finished": told["ok"], "cancelled": gone}
    # One that is reset before a byte, on a connection that was used before, is sent once more over a new one.
    twice = seen["requests"] - expected["requests"]
    assert 0 <= twice <= told["reset"], f"{name} has seen {seen}, the book says {expected}"
    expected["requests"] += twice
    assert seen == expected, f"{name} has seen {seen}, the book says {expected}"
