"""Monitors one engine: whether it is up, what it serves, whether it generates, how busy it is.

Busy is not broken. An engine that refuses connections is down at once, and one that reports that it is loading is
starting. Anything else, a slow response above all, takes an engine out only if it happens several times in a row while
the engine makes no progress: no token is relayed, and its own counters stand still.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from loguru import logger

from gateway.engines.engine import KINDS, Engine
from gateway.engines.load import parse_load
from gateway.engines.misses import Misses
from gateway.engines.probe import NOT_OFFERED, Probe
from gateway.errors import EngineBadResponse, EngineError, EngineReset, EngineTimeout, EngineUnreachable, OutOfResources
from gateway.upstream import Upstream

_OK = 200
_LOADING = 503
# Well above the size of an engine's list of models, or of its metrics, in bytes.
_MAX_RESPONSE_BYTES = 4_194_304
_POLL_TIMEOUT_S = 5.0
# How long to wait for an engine's counters, in seconds, when something else has failed: have they moved?
_RECHECK_TIMEOUT_S = 1.0
# A timeout that fires later than this, in seconds, shows that the gateway's own event loop was blocked.
_MAX_LAG_S = 0.5
_LAG_MESSAGE = "The gateway's event loop was blocked."
# The least time between two polls of an engine that is to be rechecked at once, in seconds.
_MIN_INTERVAL_S = 0.2


class PollSchedule(NamedTuple):
    """How often an engine is polled and probed, and how long it may take, all in seconds.

    Attributes:
        interval: Between two polls.
        probe_interval: After which an engine that has generated nothing is probed.
        probe_timeout: How long a probe may take.
        max_silence: How long an engine without progress counters may be silent while it has requests of ours.
    """

    interval: float
    probe_interval: float
    probe_timeout: float
    max_silence: float = 0.0


class EngineMonitor:
    """Polls one engine for as long as the gateway runs.

    Args:
        engine: Where the results are kept.
        launcher: The HTTP client to its launcher's status port, where it has one.
        schedule: How often, and for how long at most.
        on_models: Called with the engine whenever its models have been read.

    Attributes:
        polled_once: Set after the first poll.
    """

    def __init__(
        self,
        engine: Engine,
        launcher: Upstream | None,
        schedule: PollSchedule,
        on_models: Callable[[Engine], None],
    ) -> None:
        self.engine = engine
        self._launcher = launcher
        self._schedule = schedule
        self._on_models = on_models
        self._probe = Probe(engine.upstream, engine.report_probe)
        self._poll_misses, self._probe_misses = Misses(), Misses()
        self._progress: float | None = None
        self.polled_once = asyncio.Event()

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The HTTP clients to close when the gateway stops."""
        return (self.engine.upstream, *((self._launcher,) if self._launcher else ()))

    async def run(self) -> None:
        """Polls forever."""
        while True:
            try:
                await self.poll()
            except Exception:  # noqa: BLE001 - a monitor that dies would freeze the engine's state forever
                logger.exception("polling engine {} failed", self.engine.name)
            self.polled_once.set()
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._schedule.interval):
                await self.engine.recheck.wait()
        except TimeoutError:
            return
        await asyncio.sleep(min(_MIN_INTERVAL_S, self._schedule.interval))

    async def poll(self) -> None:
        """Polls once and sets the engine's state."""
        engine = self.engine
        began = time.monotonic()
        is_recheck = engine.recheck.is_set()
        engine.recheck.clear()
        launcher = await self._read_launcher_status()
        launcher_state = launcher.get("state")
        if launcher_state in {"failed", "draining"}:
            engine.set_state(launcher_state, str(launcher.get("reason") or launcher.get("phase") or ""))
            return
        loading = f"{launcher.get('phase') or 'starting'}" if launcher_state == "starting" else None
        try:
            await self._check_health()
            await self._refresh()
        except OutOfResources as error:
            logger.warning("engine {} could not be polled: {}", engine.name, error.message)
        except (EngineUnreachable, EngineReset) as error:
            self._record_absence(error.message, loading)
        except _Loading as error:
            engine.last_success_at = float("-inf")
            engine.set_state("starting", loading or str(error))
        except EngineError as error:
            if isinstance(error, EngineTimeout) and error.phase == "connect":
                self._record_absence(error.message, loading)
                engine.interrupt_waiting(error.message)  # where nothing answers at all, no response will come
                return
            await self._read_load(_RECHECK_TIMEOUT_S)
            self._record_miss(began, error.message, loading)
        else:
            self._poll_misses.clear()
            await self._probe_if_due(is_recheck=is_recheck)

    def _record_absence(self, reason: str, loading: str | None) -> None:
        if loading:
            self.engine.last_success_at = float("-inf")
            self.engine.set_state("starting", loading)
        else:
            self.engine.mark_unreachable(reason)

    @property
    def _max_silence(self) -> float:
        """An engine without counters cannot show its progress on a non-streamed request, so it gets more time."""
        return self._schedule.max_silence if self._progress is None and self.engine.inflight else 0.0

    def _record_miss(self, began: float, reason: str, loading: str | None) -> None:
        """A poll failed, although something answers at the engine's address."""
        engine = self.engine
        if not self._poll_misses.add(began, engine.last_success_at, self._max_silence) and (
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
        """Requests /health, which an engine need not have.

        Raises:
            _Loading: llama.cpp is loading its model (503).
            EngineError: The engine is unhealthy, or does not respond.
        """
        status, _ = await self._get(b"/health")
        if status == _LOADING and self.engine.kind != "vllm" and not self.engine.inflight:
            raise _Loading("loading the model")
        if status != _OK and status not in NOT_OFFERED:
            raise EngineBadResponse(f"/health returned {status}")

    async def _read_launcher_status(self) -> dict[str, Any]:
        if self._launcher is None:
            return {}
        try:
            async with asyncio.timeout(_POLL_TIMEOUT_S):
                status, body = await self._launcher.fetch(b"GET", b"/status", limit=_MAX_RESPONSE_BYTES)
            content = orjson.loads(body)
        except (EngineError, OutOfResources, TimeoutError, orjson.JSONDecodeError):
            return {}  # a missing launcher says nothing: the engine itself is polled next
        return content if status == _OK and isinstance(content, dict) else {}

    async def _get(self, path: bytes, seconds: float | None = None) -> tuple[int, bytes]:
        seconds = seconds or _POLL_TIMEOUT_S
        try:
            async with asyncio.timeout(seconds) as timeout:
                return await self.engine.upstream.fetch(b"GET", path, limit=_MAX_RESPONSE_BYTES)
        except TimeoutError as error:
            if _fired_late(timeout):
                raise OutOfResources(_LAG_MESSAGE) from error
            raise EngineTimeout(f"{path.decode()} took longer than {seconds:g} s", phase="total") from error

    async def _refresh(self) -> None:
        """Reads what the engine serves and how busy it is.

        Raises:
            EngineBadResponse: It does not list its models, for example because the engine key is wrong.
        """
        engine = self.engine
        status, body = await self._get(b"/v1/models")
        if status != _OK:
            hint = ": check ENGINE_KEY_FILE" if status in {401, 403} else ""
            raise EngineBadResponse(f"/v1/models returned {status}{hint}")
        try:
            rows = orjson.loads(body)["data"]
            engine.models = tuple(str(row["id"]) for row in rows)
            engine.kind = KINDS.get(str(rows[0].get("owned_by")), "") if rows else ""
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise EngineBadResponse("/v1/models did not return a list of models") from error
        self._on_models(engine)
        await self._read_load()

    async def _read_load(self, seconds: float | None = None) -> None:
        """Reads how busy the engine is, and whether it has made progress; an engine without metrics still serves."""
        try:
            status, body = await self._get(b"/metrics", seconds)
        except (EngineError, OutOfResources):
            return
        if status != _OK:
            return
        self.engine.load, progress = parse_load(body)
        if progress is not None and self._progress is not None and progress > self._progress:
            self.engine.record_progress()
        self._progress = progress

    async def _probe_if_due(self, *, is_recheck: bool) -> None:
        """Has the engine generate one token, unless it has recently shown that it can."""
        engine = self.engine
        began = time.monotonic()
        since_success = began - engine.last_success_at
        is_proven = engine.state in {"ready", "ejected"} and since_success < self._schedule.probe_interval
        if is_proven and not is_recheck and not self._probe_misses.count:
            return
        if not engine.models:
            engine.set_state("starting", "it serves no model yet")
            return
        try:
            async with asyncio.timeout(self._schedule.probe_timeout) as timeout:
                await self._probe.run(engine.models[0])
        except TimeoutError:
            engine.report_probe("timeout")
            if _fired_late(timeout):  # checked at once: what follows takes time, too
                return
            await self._read_load(_RECHECK_TIMEOUT_S)
            self._probe_failed(began, f"no token within {self._schedule.probe_timeout:g} s")
        except OutOfResources:
            return  # says nothing about the engine
        except EngineError as error:
            self._probe_failed(began, error.message)
        else:
            self._probe_misses.clear()
            engine.record_probe()

    def _probe_failed(self, began: float, reason: str) -> None:
        """A probe failed; it may have been queued while other requests got their tokens."""
        engine = self.engine
        if self._probe_misses.add(began, engine.last_success_at, self._max_silence) or not (
            engine.ready or engine.is_last_resort
        ):
            engine.mark_stalled(reason)


class _Loading(Exception):
    """The engine is up and is loading its model."""


def _fired_late(timeout: asyncio.Timeout) -> bool:
    """Whether a timeout fired so late that the response may be waiting in the socket, unread."""
    return asyncio.get_running_loop().time() - (timeout.when() or 0.0) > _MAX_LAG_S
