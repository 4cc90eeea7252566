import time

from tests.unit.gpu_exporter.fakes import FakeSource, snapshot

from gpu_exporter.endpoints import live_routes, replay_routes
from gpu_exporter.errors import SessionFailure
from gpu_exporter.replay import Replay
from gpu_exporter.report import Reporter
from gpu_exporter.snapshot_worker import SnapshotWorker


def test_a_machine_without_a_gpu_is_healthy() -> None:
    source = FakeSource(snapshot(failure=SessionFailure("NVML: Driver Not Loaded", permanent=True)))
    worker = SnapshotWorker(source, Reporter(None, lambda _: None), 5.0)
    routes = live_routes(worker)
    with worker.running():
        assert "gpu_up 0\n" in routes["/metrics"]().text
        assert (routes["/healthz"]().status, routes["/healthz"]().text) == (200, "ok\n")


def test_what_only_a_new_container_fixes_is_unhealthy_without_a_scrape() -> None:
    source = FakeSource(snapshot(0), snapshot(failure=SessionFailure("NVML: Unknown Error", permanent=True)))
    worker = SnapshotWorker(source, Reporter(None, lambda _: None), 5.0)
    health = live_routes(worker)["/healthz"]
    with worker.running():
        deadline = time.monotonic() + 20
        while health().status == 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert (health().status, health().text) == (503, "NVML: Unknown Error: this container has to be recreated\n")


def test_a_recording_is_healthy() -> None:
    routes = replay_routes(Replay("DCGM_FI_DEV_GPU_UTIL 1\n"))
    assert routes["/metrics"]().text == "DCGM_FI_DEV_GPU_UTIL 1\n"
    assert routes["/healthz"]().status == 200
