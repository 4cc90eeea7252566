"""Wiring: from settings to the one ASGI callable that gunicorn runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.attempt import Timeouts
from gateway.background import running
from gateway.cors import Cors
from gateway.cost import CostLedger, EngineMeter, TimeShare, read_meters
from gateway.dialects import DEFAULT_DIALECT, ENDPOINTS
from gateway.engines import Engine, EngineMonitor, Fleet, PollSchedule
from gateway.exchange import App
from gateway.gateway_app import GatewayApp
from gateway.policies.keys import KeyRing
from gateway.relay import Relay
from gateway.routes import create_api
from gateway.settings import Settings
from gateway.telemetry.logs import RequestLog, set_up_logs
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.multiprocess import slots
from gateway.telemetry.recorder import Recorder
from gateway.upstream import EngineKey, Upstream

# A worker takes requests once it has looked at every engine, but waits no longer than this for a silent one.
_FIRST_POLL_TIMEOUT_S = 5.0


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
    metrics = Metrics(CollectorRegistry())
    recorder = Recorder(
        metrics,
        log,
        workers=settings.workers,
        max_models=settings.max_model_series,
        max_keys=settings.max_key_series,
    )
    keys = KeyRing(settings.keys_file, settings.last_good_keys)
    meters = read_meters(settings.engine_prices, settings.prices_file, workers=settings.workers)
    share = TimeShare(slots.directory(), parts=settings.workers, engines=len(meters))
    ledger = CostLedger(meters, share, recorder.costs)
    engine_key = settings.engine_key()
    monitors, fleet = _engines(settings, engine_key, metrics, recorder, meters)
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
        recorder=recorder,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for monitor in monitors:
                for upstream in monitor.upstreams:
                    await stack.enter_async_context(upstream)
            background: dict[str, Callable[[], Awaitable[None]]] = {
                **{f"the watch over {monitor.engine.name}": monitor.run for monitor in monitors},
                "the watch over the keys": keys.watch,
                "the watch over the event loop": recorder.watch_event_loop,
            }
            if engine_key:
                background["the watch over the engine key"] = engine_key.watch
            if meters:
                background["the keeping of costs"] = ledger.run
            async with running(background):
                await _wait_for_first_poll(monitors)
                yield

    fallback = create_api(fleet, relay, ENDPOINTS, lifespan)
    return GatewayApp(ENDPOINTS, DEFAULT_DIALECT, relay, fallback, recorder, Cors(settings.cors_origins))


def _engines(
    settings: Settings, key: EngineKey | None, metrics: Metrics, recorder: Recorder, meters: list[EngineMeter]
) -> tuple[list[EngineMonitor], Fleet]:
    priced = {meter.engine: meter for meter in meters}
    times = PollSchedule(
        settings.discovery_interval, settings.probe_interval, settings.probe_timeout, patience=settings.ttft_timeout
    )
    routes = {path: endpoint.streams for path, endpoint in ENDPOINTS.items()}

    def declare(engine: Engine) -> None:
        recorder.declare_models(routes, engine.models)
        recorder.declare_engine(engine.name, engine.kind, engine.models)

    monitors = []
    for name, url, status_url in settings.engines:
        upstream = Upstream(name, url, key=key, connect_timeout=settings.connect_timeout)
        launcher = status_url and Upstream(
            f"{name}'s launcher", status_url, key=None, connect_timeout=settings.connect_timeout
        )
        monitors.append(
            EngineMonitor(Engine(name, upstream, metrics, priced.get(name)), launcher or None, times, declare)
        )
    # Twice the interval and a probe's own time: a proof may be that old before it stops being one.
    fleet = Fleet(
        [monitor.engine for monitor in monitors], max_success_age=2 * times.probe_interval + times.probe_timeout
    )
    return monitors, fleet


async def _wait_for_first_poll(monitors: list[EngineMonitor]) -> None:
    try:
        async with asyncio.timeout(_FIRST_POLL_TIMEOUT_S):
            await asyncio.gather(*(monitor.polled_once.wait() for monitor in monitors))
    except TimeoutError:
        return  # an engine that hangs is seen as what it is by its watcher; the others serve meanwhile
