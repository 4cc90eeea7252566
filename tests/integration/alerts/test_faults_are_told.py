"""Faults put into running parts: the alert that has to tell of each fires in a real Prometheus, and is silent after it.

Every duration is a hundredth of what runs (see `watch`); the limits are the same. All faults are injected at once, each
in a thread, into parts of their own.
"""

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.alerts import injected
from tests.integration.alerts.injected import Fault
from tests.integration.alerts.watch import Watch, wait
from tests.integration.gpu_exporter.exporter import Exporter, Machine, build_stub
from tests.support.program import HOST
from tests.support.services import Services

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed, which builds the stub of NVML"),
    pytest.mark.timeout(400),
]
TOLD = (
    *("TargetDown", "ErrorsBurnFast", "LatencyBurnsFast", "ClientsLeave", "EngineStalled", "OutputCollapsed"),
    *("EngineQueueLong", "KvCacheThrashes", "GpuLost", "GpuXid", "GpuThrottled", "GpuMemoryLow", "EventLoopLags"),
)
# The tickets of the same faults, which days of good requests end and not seconds.
SLOW = {"ErrorsBurnSlowly", "LatencyBurnsSlowly"}
_PATIENCE_S = 90.0


@dataclass(frozen=True)
class Told:
    """Seconds until an alert fired, and until it was silent after the fault's end; None where it never was."""

    fired: float | None
    silent: float | None


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Told]]:
    """What became of each alert."""
    directory = tmp_path_factory.mktemp("faults")
    with contextlib.ExitStack() as exits:
        services = Services(directory, exits)
        mock, alone = services.mock(), services.mock(name="alone")
        llamacpp, gateway, starved = services.llamacpp(), services.gateway(mock), services.gateway(mock)
        machine, exporter = _gpu(directory, exits)
        http = exits.enter_context(gateway.http)
        targets = {
            "gateway": [f"{HOST}:{gateway.metrics_port}", f"{HOST}:{starved.metrics_port}"],
            "vllm": [f"{HOST}:{alone.port}"],
            "llamacpp": [f"{HOST}:{llamacpp.port}"],
            "llamacpp-launcher": [f"{HOST}:{llamacpp.status_port}"],
            "gpu-exporter": [f"{HOST}:{exporter.port}"],
        }
        watch = Watch(directory / "watch", targets, llamacpp.key_file)
        exits.callback(watch.stop)
        watch.wait_until_well()
        threads = (
            (injected.failing_requests(http),),
            # In this order: the streams that clients leave have begun in time, and would hide the late ones.
            (injected.late_streams(http), injected.leaving_clients(http)),
            (injected.hanging_engine(alone, watch), injected.thrashing_cache(alone)),
            (injected.hot_and_full_gpu(machine), injected.bus_error(machine), injected.lost_gpu(machine)),
            (injected.frozen_engine(llamacpp), injected.starved_gateway(starved)),
        )
        found: dict[str, Told] = {}
        with ThreadPoolExecutor(len(threads)) as pool:
            for each in pool.map(lambda faults: _inject(watch, faults), threads):
                found |= each
        found |= {name: Told(None, None) for name in watch.fired() - found.keys() - SLOW}
        yield found


def _gpu(directory: Path, exits: contextlib.ExitStack) -> tuple[Machine, Exporter]:
    library = directory / "nvml"
    library.mkdir()
    build_stub(library)
    machine = Machine(directory, "l4")
    machine.now(injected.WELL)
    exporter = Exporter(directory, library, machine, {})
    exits.callback(exporter.stop)
    exporter.ready(exporter.answers, 20)
    return machine, exporter


def _inject(watch: Watch, faults: tuple[Fault, ...]) -> dict[str, Told]:
    found: dict[str, Told] = {}
    for fault in faults:
        with fault.present():
            fired = _each(fault.alerts, lambda name: name in watch.firing(), fault.again)
        silent = _each(fault.alerts, lambda name: name not in watch.firing(), fault.well)
        found |= {name: Told(fired[name], silent[name]) for name in fault.alerts}
    return found


def _each(
    names: tuple[str, ...], holds: Callable[[str], bool], meanwhile: Callable[[], None]
) -> dict[str, float | None]:
    """How long it took for each of several alerts, while one fault is there or gone."""
    lock = threading.Lock()

    def once() -> None:
        if lock.acquire(blocking=False):
            with contextlib.ExitStack() as exits:
                exits.callback(lock.release)
                meanwhile()

    with ThreadPoolExecutor(len(names)) as pool:
        seconds = pool.map(lambda name: wait(lambda: holds(name), _PATIENCE_S, once), names)
        return dict(zip(names, seconds, strict=True))


@pytest.mark.parametrize("name", TOLD)
def test_a_fault_is_told_and_its_end_too(name: str, told: dict[str, Told], measured: Callable[[str], None]) -> None:
    fired, silent = told[name].fired, told[name].silent
    assert fired is not None, "the alert did not fire"
    assert silent is not None, "the alert did not end"
    measured(f"{name}: fired after {fired:.1f} s, silent {silent:.1f} s after the fault's end")


def test_no_other_alert_fired(told: dict[str, Told]) -> None:
    assert set(told) == set(TOLD)
