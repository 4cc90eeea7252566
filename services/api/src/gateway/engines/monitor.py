"""Watching one engine: is it there, what does it serve, does it really generate, how busy is it.

Busy is not broken. An engine that refuses connections is down at once, and one that says that it loads is starting.
Anything else, a slow answer above all, takes an engine out only if it happens several times in a row and the engine
makes no progress meanwhile: no token is relayed, and its own counters stand still.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from loguru import logger

from gateway.engines.engine import KINDS, Engine
from gateway.engines.load import parse_load
from gateway.engines.probe import NOT_OFFERED, Probe
from gateway.errors import EngineBadResponse, EngineError, EngineReset, EngineTimeout, EngineUnreachable, OutOfResources
from gateway.upstream import Upstream

_OK = 200
_LOADING = 503
# An engine's list of models, or its metrics, are never as large as this, in bytes.
_LIMIT = 4_194_304
_POLL_TIMEOUT_S = 5.0
# How long its counters are waited for once something else has failed, in seconds: have they moved?
_RECHECK_TIMEOUT_S = 1.0
# So many looks, or probes, must fail in a row.
_MAX_MISSES = 3
# A time limit that fires later than this shows that the gateway's own event loop stood still, in seconds.
_MAX_LAG_S = 0.5
_LAGGED = "The gateway's event loop stood still."
# How soon an engine that is in doubt may be looked at again, in seconds.
_MIN_INTERVAL_S = 0.2


class _Misses:
    """Failures in a row of one kind of look, without progress in between."""

    def __init__(self) -> None:
        self.count = 0
        self._since = 0.0

    def add(self, began: float, progress: float, patience: float) -> bool:
        """Counts one; True when they are enough.

        Args:
            began: When it began.
            progress: When there last was progress.
            patience: Seconds without any that are not enough.
        """
        if self.count and progress > self._since:
            self.count = 0
        if not self.count:
            self._since = began
        self.count += 1
        return self.count >= _MAX_MISSES and progress <= self._since and time.monotonic() - self._since >= patience

    def clear(self) -> None:
        """One succeeded."""
        self.count = 0


class PollSchedule(NamedTuple):
    """How often an engine is looked at, and how long it may take, in seconds.

    Attributes:
        patience: How long an engine that tells nothing of its progress may be silent while it has requests of ours.
    """

    interval: float
    probe_interval: float
    probe_timeout: float
    patience: float = 0.0


class EngineMonitor:
    """Watches one engine for as long as the gateway runs.

    Args:
        engine: What is learned goes there.
        launcher: The client to its launcher's status port, where it has one.
        times: How often, how long.
        on_models: Called with the engine whenever its models have been read.
    """

    def __init__(
        self,
        engine: Engine,
        launcher: Upstream | None,
        times: PollSchedule,
        on_models: Callable[[Engine], None],
    ) -> None:
        self.engine = engine
        self._launcher = launcher
        self._times = times
        self._on_models = on_models
        self._probe = Probe(engine.upstream)
        self._poll_misses, self._probe_misses = _Misses(), _Misses()
        self._steps: float | None = None
        self.polled_once = asyncio.Event()

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The clients to close when the gateway ends."""
        return (self.engine.upstream, *((self._launcher,) if self._launcher else ()))

    async def run(self) -> None:
        """Looks for ever; `looked` is set after the first time."""
        while True:
            try:
                await self.poll()
            except Exception:  # noqa: BLE001 - a watcher that dies would freeze the engine's state for ever
                logger.exception("looking at engine {} failed", self.engine.name)
            self.polled_once.set()
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._times.interval):
                await self.engine.doubt.wait()
        except TimeoutError:
            return
        await asyncio.sleep(min(_MIN_INTERVAL_S, self._times.interval))

    async def poll(self) -> None:
        """Looks once and moves the engine to the state that it is in."""
        engine = self.engine
        began = time.monotonic()
        is_suspected = engine.doubt.is_set()
        engine.doubt.clear()
        launcher = await self._ask_launcher()
        launcher_state = launcher.get("state")
        if launcher_state in {"failed", "draining"}:
            engine.set_state(launcher_state, str(launcher.get("reason") or launcher.get("phase") or ""))
            return
        loading = f"{launcher.get('phase') or 'starting'}" if launcher_state == "starting" else None
        try:
            await self._check_health()
            await self._refresh()
        except OutOfResources as error:
            logger.warning("engine {} could not be looked at: {}", engine.name, error.message)
        except (EngineUnreachable, EngineReset) as error:
            self._is_away(error.message, loading)
        except _Loading as error:
            engine.last_success_at = float("-inf")
            engine.set_state("starting", loading or str(error))
        except EngineError as error:
            if isinstance(error, EngineTimeout) and error.phase == "connect":
                self._is_away(error.message, loading)
                engine.interrupt_waiting(error.message)  # where nothing answers at all, no answer will come
                return
            await self._read_load(_RECHECK_TIMEOUT_S)
            self._missed(began, error.message, loading)
        else:
            self._poll_misses.clear()
            await self._probe_if_due(is_suspected=is_suspected)

    def _is_away(self, reason: str, loading: str | None) -> None:
        if loading:
            self.engine.last_success_at = float("-inf")
            self.engine.set_state("starting", loading)
        else:
            self.engine.mark_unreachable(reason)

    @property
    def _patience(self) -> float:
        """An engine without counters, busy with a plain answer, cannot show that it gets on: it has more time."""
        return self._times.patience if self._steps is None and self.engine.inflight else 0.0

    def _missed(self, began: float, reason: str, loading: str | None) -> None:
        """A look failed, but not because nothing is there."""
        engine = self.engine
        if not self._poll_misses.add(began, engine.last_success_at, self._patience) and (
            engine.ready or engine.is_last_resort
        ):
            return
        if loading:
            engine.last_success_at = float("-inf")
            engine.set_state("starting", loading)
        elif engine.ready or engine.is_last_resort:
            engine.mark_stalled(reason)
        elif engine.state != "ejected":
            engine.set_state("down", reason)

    async def _check_health(self) -> None:
        """Asks for /health, which an engine need not have.

        Raises:
            _Loading: llama.cpp loads its model (503).
            EngineError: It is not well, or says nothing.
        """
        status, _ = await self._get(b"/health")
        if status == _LOADING and self.engine.kind != "vllm" and not self.engine.inflight:
            raise _Loading("loading the model")
        if status != _OK and status not in NOT_OFFERED:
            raise EngineBadResponse(f"its /health says {status}")

    async def _ask_launcher(self) -> dict[str, Any]:
        if self._launcher is None:
            return {}
        try:
            async with asyncio.timeout(_POLL_TIMEOUT_S):
                status, body = await self._launcher.fetch(b"GET", b"/status", limit=_LIMIT)
            content = orjson.loads(body)
        except (EngineError, OutOfResources, TimeoutError, orjson.JSONDecodeError):
            return {}  # no launcher is no news: the engine itself is asked next
        return content if status == _OK and isinstance(content, dict) else {}

    async def _get(self, path: bytes, seconds: float | None = None) -> tuple[int, bytes]:
        seconds = seconds or _POLL_TIMEOUT_S
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self.engine.upstream.fetch(b"GET", path, limit=_LIMIT)
        except TimeoutError as error:
            if _is_late(limit):
                raise OutOfResources(_LAGGED) from error
            raise EngineTimeout(f"{path.decode()} took longer than {seconds:g} s", phase="total") from error

    async def _refresh(self) -> None:
        """Reads what the engine serves and how busy it is.

        Raises:
            EngineBadResponse: It does not list its models; a wrong engine key shows here.
        """
        engine = self.engine
        status, body = await self._get(b"/v1/models")
        if status != _OK:
            hint = ": check ENGINE_KEY_FILE" if status in {401, 403} else ""
            raise EngineBadResponse(f"its /v1/models says {status}{hint}")
        try:
            rows = orjson.loads(body)["data"]
            engine.models = tuple(str(row["id"]) for row in rows)
            engine.kind = KINDS.get(str(rows[0].get("owned_by")), "") if rows else ""
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise EngineBadResponse("its /v1/models is no list of models") from error
        self._on_models(engine)
        await self._read_load()

    async def _read_load(self, seconds: float | None = None) -> None:
        """Reads how busy the engine is, and whether it has got on; it may serve without telling."""
        try:
            status, body = await self._get(b"/metrics", seconds)
        except (EngineError, OutOfResources):
            return
        if status != _OK:
            return
        self.engine.load, steps = parse_load(body)
        if steps is not None and self._steps is not None and steps > self._steps:
            self.engine.record_progress()
        self._steps = steps

    async def _probe_if_due(self, *, is_suspected: bool) -> None:
        """Lets the engine generate one token, unless it has shown of late that it can."""
        engine = self.engine
        began = time.monotonic()
        is_proved = engine.state in {"ready", "ejected"} and began - engine.last_success_at < self._times.probe_interval
        if is_proved and not is_suspected and not self._probe_misses.count:
            return
        if not engine.models:
            engine.set_state("starting", "it serves no model yet")
            return
        try:
            async with asyncio.timeout(self._times.probe_timeout) as limit:
                await self._probe.run(engine.models[0])
        except TimeoutError:
            if _is_late(limit):  # asked at once: what follows takes time, too
                return
            await self._read_load(_RECHECK_TIMEOUT_S)
            self._probe_failed(began, f"no token within {self._times.probe_timeout:g} s")
        except OutOfResources:
            return  # it says nothing about the engine
        except EngineError as error:
            self._probe_failed(began, error.message)
        else:
            self._probe_misses.clear()
            engine.record_probe()

    def _probe_failed(self, began: float, reason: str) -> None:
        """A probe failed: a queue may have held it while others got their tokens."""
        engine = self.engine
        if self._probe_misses.add(began, engine.last_success_at, self._patience) or not (
            engine.ready or engine.is_last_resort
        ):
            engine.mark_stalled(reason)


class _Loading(Exception):
    """The engine is there and loads its model."""


def _is_late(limit: asyncio.Timeout) -> bool:
    """Whether a time limit fired so late that what it waited for may lie in the socket, unread."""
    return asyncio.get_running_loop().time() - (limit.when() or 0.0) > _MAX_LAG_S
