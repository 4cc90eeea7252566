"""Wiring: from settings to the one ASGI callable that gunicorn runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.asgi import App
from gateway.attempt import Timeouts
from gateway.background import running
from gateway.cors import Cors
from gateway.cost import Account, Books, Share, read_accounts
from gateway.dialects.openai.request import ENDPOINTS
from gateway.edge import Edge
from gateway.engines import Engine, Fleet, Watcher, WatchTimes
from gateway.keys import KeyRing
from gateway.relay import Relay
from gateway.routes import rest_of_the_api
from gateway.settings import Settings
from gateway.telemetry import slots
from gateway.telemetry.catalogue import Catalogue
from gateway.telemetry.logs import RequestLog, set_up_logs
from gateway.telemetry.recorder import Recorder
from gateway.upstream import EngineKey, Upstream

# A worker takes requests once it has looked at every engine, but waits no longer than this for a silent one.
_FIRST_LOOK_TIMEOUT_S = 5.0


def create_app(settings: Settings | None = None) -> App:
    """Builds the gateway.

    Args:
        settings: Read from the environment when left out.

    Returns:
        The ASGI callable: relayed paths go straight to the relay, all else to FastAPI.

    Raises:
        SettingsError, KeysFileError, PricesFileError: Something it needs is missing or wrong.
    """
    settings = settings or Settings.load()
    log = RequestLog(settings.log_level, set_up_logs(settings.log_level))
    catalogue = Catalogue(CollectorRegistry())
    recorder = Recorder(
        catalogue,
        log,
        workers=settings.workers,
        max_models=settings.max_model_series,
        max_keys=settings.max_key_series,
    )
    keys = KeyRing(settings.keys_file, settings.last_good_keys)
    accounts = read_accounts(settings.engine_prices, settings.prices_file, workers=settings.workers)
    share = Share(slots.directory(), parts=settings.workers, engines=len(accounts))
    books = Books(accounts, share, recorder.spending)
    engine_key = settings.engine_key()
    watchers, fleet = _engines(settings, engine_key, catalogue, recorder, accounts)
    relay = Relay(
        keys=keys,
        fleet=fleet,
        timeouts=Timeouts(
            body=settings.idle_timeout,
            ttft=settings.ttft_timeout,
            idle=settings.idle_timeout,
            send=settings.send_timeout,
            total=settings.total_timeout,
        ),
        max_body=settings.max_body_bytes,
        catalogue=catalogue,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for watcher in watchers:
                for upstream in watcher.upstreams:
                    await stack.enter_async_context(upstream)
            background: dict[str, Callable[[], Awaitable[None]]] = {
                **{f"the watch over {watcher.engine.name}": watcher.watch for watcher in watchers},
                "the watch over the keys": keys.watch,
                "the watch over the event loop": recorder.watch_event_loop,
            }
            if engine_key:
                background["the watch over the engine key"] = engine_key.watch
            if accounts:
                background["the keeping of costs"] = books.keep
            async with running(background):
                await _first_look(watchers)
                yield

    rest = rest_of_the_api(fleet, relay, lifespan)
    return Edge(ENDPOINTS, relay, rest, recorder, Cors(settings.cors_origins))


def _engines(
    settings: Settings, key: EngineKey | None, catalogue: Catalogue, recorder: Recorder, accounts: list[Account]
) -> tuple[list[Watcher], Fleet]:
    priced = {account.engine: account for account in accounts}
    times = WatchTimes(
        settings.discovery_interval, settings.probe_interval, settings.probe_timeout, patience=settings.ttft_timeout
    )
    routes = {path: endpoint.streams for path, endpoint in ENDPOINTS.items()}

    def know(engine: Engine) -> None:
        recorder.know_models(routes, engine.models)
        recorder.know_engine(engine.name, engine.kind, engine.models)

    watchers = []
    for name, url, status_url in settings.engines:
        upstream = Upstream(name, url, key=key, connect_timeout=settings.connect_timeout)
        launcher = status_url and Upstream(
            f"{name}'s launcher", status_url, key=None, connect_timeout=settings.connect_timeout
        )
        watchers.append(Watcher(Engine(name, upstream, catalogue, priced.get(name)), launcher or None, times, know))
    # Twice the interval and a probe's own time: a proof may be that old before it stops being one.
    fleet = Fleet([watcher.engine for watcher in watchers], proof_age=2 * times.probe_interval + times.probe_timeout)
    return watchers, fleet


async def _first_look(watchers: list[Watcher]) -> None:
    try:
        async with asyncio.timeout(_FIRST_LOOK_TIMEOUT_S):
            await asyncio.gather(*(watcher.looked.wait() for watcher in watchers))
    except TimeoutError:
        return  # an engine that hangs is seen as what it is by its watcher; the others serve meanwhile
