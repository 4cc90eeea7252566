"""Faults injected into running parts: the alert for each fires in a real Prometheus, and resolves after it.

Every duration is a hundredth of what runs in production (see `compressed_prometheus`); the limits are the same. All
faults are injected at once, each in a thread, into parts of their own.
"""

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.alerts import faults
from tests.integration.alerts.compressed_prometheus import CompressedPrometheus, wait
from tests.integration.alerts.faults import Fault
from tests.integration.gpu_exporter.exporter import Exporter, Machine, build_stub
from tests.support.fake_exporter import FakeStack
from tests.support.program import HOST
from tests.support.services import Services

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed, which builds the stub of NVML"),
    pytest.mark.timeout(400),
]
FIRING = (
    *(
        "TargetDown",
        "AvailabilityBudgetBurnFast",
        "LatencyBudgetBurnFast",
        "HighCancellationRate",
        "EngineStalled",
        "EngineThroughputDegraded",
    ),
    *(
        "EngineQueueDepthHigh",
        "KvCachePreemptions",
        "GpuLost",
        "GpuXidError",
        "GpuThrottled",
        "GpuMemoryLow",
        "EventLoopLagHigh",
    ),
    *("ModelUnavailable", "ModelTtftHigh", "ModelTpotHigh", "EngineRestarting", "AuthenticationFailuresHigh"),
    *("NginxServerErrors", "ScrapeTimeout", "ClockSkew", "GpuMetricsStale"),
)
# Tickets of the same faults, which resolve after days of good requests and not after seconds.
SLOW = {"AvailabilityBudgetBurnSlow", "LatencyBudgetBurnSlow"}
# Most of these engines are not scraped: the gateways count tokens that no engine does.
UNSCRAPED = {"TokenReconciliationDrift"}
_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Outcome:
    """Seconds until an alert fired, and from the end of the fault until it resolved; None where it never did."""

    fired: float | None
    resolved: float | None


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """The outcome of each alert."""
    directory = tmp_path_factory.mktemp("faults")
    with contextlib.ExitStack() as exits:
        services = Services(directory, exits)
        mock, alone = services.mock(), services.mock(name="alone")
        lost = services.mock(name="lost", models=("lost",))
        llamacpp, gateway, starved = services.llamacpp(), services.gateway(mock, lost), services.gateway(mock)
        stack = FakeStack()
        exits.callback(stack.stop)
        machine, exporter = _gpu(directory, exits)
        http = exits.enter_context(gateway.http)
        targets = stack.targets | {
            "gateway": [f"{HOST}:{gateway.metrics_port}", f"{HOST}:{starved.metrics_port}"],
            "vllm": [f"{HOST}:{alone.port}"],
            "llamacpp": [f"{HOST}:{llamacpp.port}"],
            "llamacpp-launcher": [f"{HOST}:{llamacpp.status_port}"],
            "gpu-exporter": [f"{HOST}:{exporter.port}", *stack.targets["gpu-exporter"]],
        }
        prometheus = CompressedPrometheus(directory / "prometheus", targets, llamacpp.key_file)
        exits.callback(prometheus.stop)
        prometheus.wait_until_healthy()
        threads = (
            (faults.failing_requests(http), faults.failing_nginx(stack), faults.wrong_keys(http)),
            # In this order: slow and cancelled streams have started in time, and would hide the late ones.
            (faults.late_streams(http), faults.slow_streams(http), faults.cancelling_clients(http)),
            (faults.stalled_engine(alone, prometheus), faults.preempting_engine(alone)),
            (faults.hot_and_full_gpu(machine), faults.xid_error(machine), faults.lost_gpu(machine)),
            (faults.frozen_engine(llamacpp), faults.starved_gateway(starved)),
            (faults.lost_model(lost), faults.restarting_engine(stack), faults.wrong_clock(stack)),
            (faults.stale_gpu_metrics(stack), faults.slow_metrics_page(stack)),
        )
        found: dict[str, Outcome] = {}
        with ThreadPoolExecutor(len(threads)) as pool:
            for each in pool.map(lambda sequence: _inject(prometheus, sequence), threads):
                found |= each
        found |= {name: Outcome(None, None) for name in prometheus.fired() - found.keys() - SLOW - UNSCRAPED}
        yield found


def _gpu(directory: Path, exits: contextlib.ExitStack) -> tuple[Machine, Exporter]:
    library = directory / "nvml"
    library.mkdir()
    build_stub(library)
    machine = Machine(directory, "l4")
    machine.now(faults.HEALTHY)
    exporter = Exporter(directory, library, machine, {})
    exits.callback(exporter.stop)
    exporter.ready(exporter.answers, 20)
    return machine, exporter


def _inject(prometheus: CompressedPrometheus, sequence: tuple[Fault, ...]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for fault in sequence:
        with fault.injected():
            fired = _wait_for_each(fault.alerts, lambda name: name in prometheus.firing(), fault.repeat)
        resolved = _wait_for_each(fault.alerts, lambda name: name not in prometheus.firing(), fault.recover)
        found |= {name: Outcome(fired[name], resolved[name]) for name in fault.alerts}
    return found


def _wait_for_each(
    names: tuple[str, ...], holds: Callable[[str], bool], repeat: Callable[[], None]
) -> dict[str, float | None]:
    """The seconds until the condition held for each alert."""
    lock = threading.Lock()

    def once() -> None:
        if lock.acquire(blocking=False):
            with contextlib.ExitStack() as exits:
                exits.callback(lock.release)
                repeat()

    with ThreadPoolExecutor(len(names)) as pool:
        seconds = pool.map(lambda name: wait(lambda: holds(name), _TIMEOUT_S, once), names)
        return dict(zip(names, seconds, strict=True))


@pytest.mark.parametrize("name", FIRING)
def test_an_alert_fires_on_its_fault_and_resolves_after_it(
    name: str, outcomes: dict[str, Outcome], measured: Callable[[str], None]
) -> None:
    fired, resolved = outcomes[name].fired, outcomes[name].resolved
    assert fired is not None, "the alert did not fire"
    assert resolved is not None, "the alert did not resolve"
    measured(f"{name}: fired after {fired:.1f} s, resolved {resolved:.1f} s after the end of the fault")


def test_no_other_alert_fired(outcomes: dict[str, Outcome]) -> None:
    assert set(outcomes) == set(FIRING)
