"""Wiring: from settings to the one ASGI callable that gunicorn runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.asgi_exchange import App
from gateway.attempt import Timeouts
from gateway.background import running
from gateway.cors import Cors
from gateway.cost import CostLedger, EngineMeter, TimeShare, read_meters
from gateway.dialects import DEFAULT_DIALECT, ENDPOINTS
from gateway.engines import Engine, EngineMonitor, Fleet, PollSchedule
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

# A worker takes requests once it has polled every engine, but waits no longer than this for a silent one, in seconds.
_FIRST_POLL_TIMEOUT_S = 5.0


def create_app(settings: Settings | None = None) -> App:
    """Creates the gateway.

    Args:
        settings: Read from the environment when left out.

    Returns:
        The ASGI callable: relayed paths go straight to the relay, all else to FastAPI.

    Raises:
        SettingsError, KeysFileError, PricesFileError: A setting or a file is missing or wrong.
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
        relayed={path: endpoint.streams for path, endpoint in ENDPOINTS.items()},
    )
    meters = read_meters(settings.engine_prices, settings.prices_file, workers=settings.workers)
    share = TimeShare(slots.directory(), shares=settings.workers, engines=len(meters))
    ledger = CostLedger(meters, share, recorder.costs)
    # After the ledger, which knows whether there are prices: so the keys' costs exist too.
    keys = KeyRing(settings.keys_file, settings.last_good_keys, recorder.declare_keys)
    engine_key = settings.engine_key()
    monitors, fleet = _create_engines(settings, engine_key, recorder, meters)
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
                **{f"engine monitor {monitor.engine.name}": monitor.run for monitor in monitors},
                "keys file watcher": keys.watch,
                "event loop monitor": recorder.monitor_event_loop,
            }
            if engine_key:
                background["engine key watcher"] = engine_key.watch
            if meters:
                background["cost ledger"] = ledger.run
            async with running(background):
                await _wait_for_first_poll(monitors)
                yield

    api = create_api(fleet, relay, ENDPOINTS, lifespan)
    return GatewayApp(ENDPOINTS, DEFAULT_DIALECT, relay, api, recorder, Cors(settings.cors_origins))


def _create_engines(
    settings: Settings, key: EngineKey | None, recorder: Recorder, meters: list[EngineMeter]
) -> tuple[list[EngineMonitor], Fleet]:
    meter_of = {meter.engine: meter for meter in meters}
    schedule = PollSchedule(
        settings.discovery_interval, settings.probe_interval, settings.probe_timeout, max_silence=settings.ttft_timeout
    )

    def report_models(engine: Engine) -> None:
        recorder.declare_models(engine.models)
        recorder.engine_models_read(engine.name, engine.kind, engine.models)

    monitors = []
    for name, url, status_url in settings.engines:
        upstream = Upstream(name, url, key=key, connect_timeout=settings.connect_timeout)
        launcher = status_url and Upstream(
            f"{name}'s launcher", status_url, key=None, connect_timeout=settings.connect_timeout
        )
        engine = Engine(name, upstream, recorder, meter_of.get(name))
        monitors.append(EngineMonitor(engine, launcher or None, schedule, report_models))
    # Two intervals and a probe's own time: one missed probe does not make an engine unhealthy.
    max_success_age = 2 * schedule.probe_interval + schedule.probe_timeout
    return monitors, Fleet([monitor.engine for monitor in monitors], max_success_age=max_success_age)


async def _wait_for_first_poll(monitors: list[EngineMonitor]) -> None:
    try:
        async with asyncio.timeout(_FIRST_POLL_TIMEOUT_S):
            await asyncio.gather(*(monitor.polled_once.wait() for monitor in monitors))
    except TimeoutError:
        return  # its monitor takes a hung engine out; the others serve meanwhile
