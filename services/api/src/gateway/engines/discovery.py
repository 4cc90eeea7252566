"""Watching one engine: is it there, what does it serve, does it really generate, how busy is it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from loguru import logger

from gateway.engines.engine import KINDS, Engine
from gateway.engines.load import parse_load
from gateway.errors import EngineBroken, EngineError, EngineTimeout
from gateway.upstream import Upstream

_OK = 200
_LOADING = 503
_NOT_HERE = frozenset({400, 404, 405, 501})
# An engine's list of models, or its metrics, are never as large as this, in bytes.
_LIMIT = 4_194_304
_LOOK_TIMEOUT_S = 5.0


class WatchTimes(NamedTuple):
    """How often an engine is looked at, and how long it may take, in seconds."""

    interval: float
    probe_interval: float
    probe_timeout: float


class Watcher:
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
        times: WatchTimes,
        on_models: Callable[[Engine], None],
    ) -> None:
        self.engine = engine
        self._launcher = launcher
        self._times = times
        self._on_models = on_models
        self._probe = _COMPLETION_PROBE
        self.looked = asyncio.Event()

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The clients to close when the gateway ends."""
        return (self.engine.upstream, *((self._launcher,) if self._launcher else ()))

    async def watch(self) -> None:
        """Looks for ever; `looked` is set after the first time."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - a watcher that dies would freeze the engine's state for ever
                logger.exception("looking at engine {} failed", self.engine.name)
            self.looked.set()
            await asyncio.sleep(self._times.interval)

    async def look(self) -> None:
        """Looks once and moves the engine to the state that it is in."""
        engine = self.engine
        launcher = await self._ask_launcher()
        told = launcher.get("state")
        if told in {"failed", "draining"}:
            engine.move(told, str(launcher.get("reason") or launcher.get("phase") or ""))
            return
        loading = f"{launcher.get('phase') or 'starting'}" if told == "starting" else None
        try:
            status, _ = await self._get(b"/health")
            if status != _OK:
                self._not_healthy(status, loading)
                return
            await self._learn()
        except EngineError as error:
            engine.proved_at = float("-inf")
            engine.move(*(("starting", loading) if loading else ("down", error.message)))
            return
        await self._prove()

    def _not_healthy(self, status: int, loading: str | None) -> None:
        """/health answers, but not with 200: llama.cpp loading its model (503), or vLLM with a dead engine (503)."""
        self.engine.proved_at = float("-inf")
        if loading or (status == _LOADING and self.engine.kind != "vllm"):
            self.engine.move("starting", loading or "loading the model")
        else:
            self.engine.move("down", f"its /health says {status}")

    async def _ask_launcher(self) -> dict[str, Any]:
        if self._launcher is None:
            return {}
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                status, body = await self._launcher.fetch(b"GET", b"/status", limit=_LIMIT)
            content = orjson.loads(body)
        except (EngineError, TimeoutError, orjson.JSONDecodeError):
            return {}  # no launcher is no news: the engine itself is asked next
        return content if status == _OK and isinstance(content, dict) else {}

    async def _get(self, path: bytes) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                return await self.engine.upstream.fetch(b"GET", path, limit=_LIMIT)
        except TimeoutError as error:
            raise EngineTimeout(f"{path.decode()} took longer than {_LOOK_TIMEOUT_S:g} s", phase="total") from error

    async def _learn(self) -> None:
        """Reads what the engine serves and how busy it is.

        Raises:
            EngineBroken: It does not list its models; a wrong engine key shows here.
        """
        engine = self.engine
        status, body = await self._get(b"/v1/models")
        if status != _OK:
            hint = ": check ENGINE_KEY_FILE" if status in {401, 403} else ""
            raise EngineBroken(f"its /v1/models says {status}{hint}")
        try:
            rows = orjson.loads(body)["data"]
            engine.models = tuple(str(row["id"]) for row in rows)
            engine.kind = KINDS.get(str(rows[0].get("owned_by")), "") if rows else ""
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise EngineBroken("its /v1/models is no list of models") from error
        self._on_models(engine)
        try:
            status, body = await self._get(b"/metrics")
        except EngineError:
            return  # it may serve without telling how busy it is
        if status == _OK:
            engine.load = parse_load(body)

    async def _prove(self) -> None:
        """Lets the engine generate one token, unless real requests have shown of late that it can."""
        engine = self.engine
        now = time.monotonic()
        if now < engine.ejected_until:
            return
        if engine.ready and now - engine.proved_at < self._times.probe_interval:
            return
        if not engine.models:
            engine.move("starting", "it serves no model yet")
            return
        try:
            async with asyncio.timeout(self._times.probe_timeout):
                await self._generate(engine.models[0])
        except TimeoutError:
            if time.monotonic() - engine.proved_at < self._times.probe_timeout:
                return  # the probe waited in a queue while real requests got tokens
            engine.stuck(f"no token within {self._times.probe_timeout:g} s")
        except EngineError as error:
            engine.stuck(error.message)
        else:
            engine.worked()
            engine.move("ready")

    async def _generate(self, model: str) -> None:
        """One token, or one embedding from an engine that only embeds.

        Raises:
            EngineError: It did not.
        """
        for probe in (self._probe, *(other for other in (_COMPLETION_PROBE, _EMBEDDING_PROBE) if other != self._probe)):
            path, field, result = probe
            body = orjson.dumps({"model": model, field: "1", **({"max_tokens": 1} if field == "prompt" else {})})
            status, answer = await self.engine.upstream.fetch(b"POST", path, body, limit=_LIMIT)
            if status == _OK and b'"%b"' % result in answer:
                self._probe = probe
                return
            if status not in _NOT_HERE:
                break
        raise EngineBroken(f"the one-token probe got {status}: {answer[:200].decode('utf-8', 'replace')}")


_COMPLETION_PROBE = (b"/v1/completions", "prompt", b"choices")
_EMBEDDING_PROBE = (b"/v1/embeddings", "input", b"embedding")
