"""Workers with a full METRICS_DIR, or without a writable /dev/shm: they serve, and log a warning."""

import os
import signal
from pathlib import Path

from tests.support.gateway import Gateway
from tests.support.in_process.small_disk import as_seen_by, fill
from tests.support.program import until
from tests.support.services import Services

_TIMEOUT_S = 30.0
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the directory itself is what is tested


def chats(gateway: Gateway, count: int) -> None:
    body = {"model": "left", "messages": [{"role": "user", "content": "one"}], "max_tokens": 1}
    with gateway.http as http:
        for _ in range(count):
            answer = http.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text


def counted(gateway: Gateway) -> float:
    return gateway.scrape().total("gateway_requests_total", route="/v1/chat/completions")


def warnings(gateway: Gateway, text: str) -> int:
    return sum(text in line.get("message", "") for line in gateway.lines(level="warning"))


def test_workers_that_start_on_a_full_disk_serve_and_are_counted_once_there_is_room(services: Services) -> None:
    mock = services.mock(name="left", models=("left",))
    gateway = services.gateway(mock, workers=2, disk=("METRICS_DIR", "size=4m"), ENGINE_PRICES="left=1")
    disk = as_seen_by(gateway.program.pid, gateway.metrics_dir)
    chats(gateway, 4)
    filler = fill(disk)
    old = set(gateway.program.children())
    gateway.program.send(signal.SIGHUP)
    until(lambda: old.isdisjoint(gateway.program.children()), _TIMEOUT_S, "the old workers have gone")
    until(gateway.is_ready, _TIMEOUT_S, "the new ones are ready")
    new = gateway.program.children()
    chats(gateway, 20)
    # Perhaps not by each of them: the files of the old workers' gauges are removed.
    until(lambda: warnings(gateway, "has no space for counters") > 0, _TIMEOUT_S, "the warning is logged")
    filler.unlink()
    until(lambda: counted(gateway) == 24, _TIMEOUT_S, "all is counted")
    until(gateway.is_up, _TIMEOUT_S, "the workers are up")
    assert gateway.program.children() == new, "no worker died"

    fill(disk)
    os.kill(new[0], signal.SIGKILL)
    until(lambda: new[0] not in gateway.program.children() and gateway.is_up(), _TIMEOUT_S, "it is replaced")
    chats(gateway, 10)
    until(lambda: counted(gateway) == 34, _TIMEOUT_S, "its predecessor's files had room")


def test_a_gateway_starts_without_writable_shared_memory(services: Services, tmp_path: Path) -> None:
    mock = services.mock(name="left", models=("left",))
    gateway = services.gateway(
        mock, disk=(_SHARED_MEMORY, "ro"), METRICS_DIR=f"{_SHARED_MEMORY}/glasshouse-elsewhere", TMPDIR=str(tmp_path)
    )
    chats(gateway, 3)
    assert counted(gateway) == 3
    assert warnings(gateway, f"{_SHARED_MEMORY} is not writable") == 1
    assert {path.name for path in (tmp_path / "glasshouse-elsewhere").glob("*.lock")} == {"slot-0.lock"}
    gateway.program.send(signal.SIGHUP)
    until((tmp_path / "glasshouse-elsewhere" / "slot-1.lock").exists, _TIMEOUT_S, "the next worker uses it too")
    until(gateway.is_up, _TIMEOUT_S, "only the new worker is up")
    chats(gateway, 3)
