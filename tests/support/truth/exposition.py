"""What the gateway exposes of these requests, scrape by scrape: counted by its own recorder."""

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from tests.support.truth import traffic
from tests.support.truth.traffic import Request

from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import RequestRecord
from gateway.telemetry.recorder import Recorder
from gateway.usage import Usage

STATES = ("ready", "starting", "draining", "ejected", "down", "failed")
_TARGET = f'job="gateway",instance="api:9091",vm="{traffic.VM}"'
# Metrics that no panel of requests reads: their series would be most of the history.
_LEFT_OUT = ("gateway_event_loop_lag", "gateway_process", "gateway_build")

SeriesName = tuple[str, str]
# By the name and labels of a series: the times at which its value changes, and to what; None while it is away.
Changes = dict[SeriesName, list[tuple[int, float | None]]]


class Gateway:
    """A gateway with the recorder of the product; a restart begins with a new one.

    Args:
        since: when it starts.
    """

    def __init__(self, since: float) -> None:
        self._registry = CollectorRegistry()
        self.metrics = Metrics(self._registry)
        self._recorder = Recorder(
            self.metrics,
            RequestLog("error", LogWriter(None)),
            relayed={traffic.CHAT: True},
        )
        self._since = since
        self._unpaid = dict.fromkeys((engine.name for engine in traffic.ENGINES), 0.0)
        for engine in traffic.ENGINES:
            self._recorder.costs.declare_engine(engine.name, engine.usd_per_hour)
            self._recorder.declare_engine(engine.name, STATES)
            self._recorder.declare_models((engine.model,))
            self._recorder.engine_models_read(engine.name, engine.kind, (engine.model,))

    def declare_keys(self, keys: Iterable[str]) -> None:
        self._recorder.declare_keys(keys)

    def set_state(self, engine: str, state: str) -> None:
        self._recorder.engine_state_set(engine, state)
        if state == "ejected":
            self._recorder.engine_ejected(engine)

    def start(self, request: Request) -> None:
        self._recorder.started(request.route, request.model)

    def finish(self, request: Request) -> None:
        """Counts a request, and its attempt at an engine."""
        usage = None if request.tokens is None else Usage(*request.tokens)
        engine = traffic.BY_MODEL.get(request.model)
        if engine and usage:
            self._recorder.charged(engine.name, request.model, request.key, request.cost, request.equivalents)
            self._unpaid[engine.name] -= request.cost
        self._recorder.finished(
            RequestRecord(
                request_id="", route=request.route, key=request.key or None, model=request.model,
                engine=engine.name if engine else None, stream=request.stream, outcome=request.outcome,  # type: ignore[arg-type]
                code=request.code, error_code=None, timeout_phase=request.phase or None,  # type: ignore[arg-type]
                duration=request.duration, ttft=request.ttft, generating=request.generating, usage=usage,
                token_events=request.events, attempts=1, cost=request.cost, log=False,
            )
        )  # fmt: skip
        if request.code == traffic.UNAUTHORIZED:
            self._recorder.auth_failed("invalid_api_key")
        if engine and request.code not in traffic.REFUSED:
            result = traffic.ATTEMPTS.get(request.outcome, "unreachable")
            self._recorder.attempt_finished(engine.name, result)  # type: ignore[arg-type]

    def pay_idle_time(self, now: float) -> None:
        """Books the time of engines that no request paid for; long requests pay for it in advance."""
        for engine in traffic.ENGINES:
            self._unpaid[engine.name] += engine.usd_per_hour / traffic.HOUR * (now - self._since)
            if (idle := self._unpaid[engine.name]) > 0:
                self._recorder.costs.book(engine.name, "idle", idle)
                self._unpaid[engine.name] = 0.0
        self._since = now
        self._recorder.costs.write()

    def samples(self, *, all_metrics: bool) -> Iterator[tuple[SeriesName, float]]:
        """The samples of a scrape; without `all_metrics` only those that change on an idle gateway."""
        families: Iterable[Metric] = self._registry.collect() if all_metrics else self.metrics.cost.collect()
        for family in families:
            if not family.name.startswith(_LEFT_OUT):
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        yield _series(sample.name, tuple(sample.labels.items())), sample.value


@functools.cache
def _series(name: str, labels: tuple[tuple[str, str], ...]) -> SeriesName:
    return name, ",".join((_TARGET, *(f'{label}="{value}"' for label, value in labels)))


def scrapes(requests: Sequence[Request], times: Sequence[int]) -> Changes:
    """The samples of every series at these times: only where they differ from the one before."""
    events = _events(requests, times[0])
    changes: Changes = defaultdict(list)
    gateway: Gateway | None = None
    latest: dict[SeriesName, float] = {}
    for now in times:
        changed = False
        while events and events[-1][0] <= now:
            at, _, name, subject = events.pop()
            gateway = _apply(gateway, at, name, subject)
            changed = True
        found: dict[SeriesName, float] = {("up", _TARGET): float(gateway is not None)}
        if gateway is not None:
            gateway.pay_idle_time(now)
            found |= gateway.samples(all_metrics=changed)
        elif changed:
            for series in latest:
                changes[series].append((now, None))
            latest = {}
        for series, value in found.items():
            if latest.get(series) != value:
                changes[series].append((now, value))
                latest[series] = value
    return _without_zeros(changes)


def _without_zeros(changes: Changes) -> Changes:
    """Leaves out what is always 0 where another series of the metric is not: most of what can happen does not."""
    happened = {series for series, values in changes.items() if any(value for _, value in values)}
    names = {name for name, _ in happened}
    return {series: values for series, values in changes.items() if series in happened or series[0] not in names}


Event = tuple[float, int, str, object]


def _events(requests: Sequence[Request], start: float) -> list[Event]:
    """All events, the first one last."""
    found: list[Event] = [(start, 0, "up", None)]
    for restart in traffic.RESTARTS:
        found += [(restart.start, 1, "down", None), (restart.end, 0, "up", None)]
    for outage in traffic.OUTAGES:
        found += [(outage.start, 2, "state", (outage.engine, outage.state))]
        found += [(outage.end, 2, "state", (outage.engine, "ready"))]
    found += [(at, 1, "key", key) for key, at in traffic.KEYS.items() if at > start]
    found += [(request.started, 2, "start", request) for request in requests]
    found += [(request.ended, 3, "finish", request) for request in requests]
    return sorted((each for each in found if each[0] >= start), key=lambda each: each[:2], reverse=True)


def _apply(gateway: Gateway | None, at: float, name: str, subject: object) -> Gateway | None:
    if name == "down":
        return None
    if name == "up":
        gateway = Gateway(at)
        gateway.declare_keys(key for key, added in traffic.KEYS.items() if added <= at)
        for engine in traffic.ENGINES:
            gateway.set_state(engine.name, "ready")
        return gateway
    assert gateway is not None, "a request while the gateway is away"
    if name == "key":
        gateway.declare_keys([str(subject)])
    elif name == "state":
        assert isinstance(subject, tuple)
        gateway.set_state(*subject)
    elif isinstance(subject, Request):
        (gateway.start if name == "start" else gateway.finish)(subject)
    return gateway
