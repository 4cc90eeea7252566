"""What looking at the GPUs costs: the exporter, and the stub, which reads its text file at every call. A driver's own
calls are not in it.

.venv/bin/python -m pytest tests/integration/gpu_exporter/test_cost.py -s
"""

import contextlib
import os
import statistics
import time
from pathlib import Path

import pytest
from tests.integration.gpu_exporter.conftest import Start
from tests.integration.gpu_exporter.exporter import Exporter, Machine

SCRAPES = 100
INTERVAL = 5.0  # seconds between two scrapes of the stack's Prometheus
IDLE = 3.0
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu(exporter: Exporter) -> float:
    """CPU seconds of the process so far, in user and system."""
    after_name = Path(f"/proc/{exporter.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def running(exporter: Exporter) -> dict[str, float]:
    """The same of each thread that lives, to the nanosecond: an idle second is less than a tick."""
    seconds = {}
    for thread in Path(f"/proc/{exporter.pid}/task").iterdir():
        # The thread of a connection may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            seconds[thread.name] = int((thread / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    return seconds


def resident(exporter: Exporter) -> float:
    """Memory in MiB."""
    pages = int(Path(f"/proc/{exporter.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def eight(machine: Machine) -> None:
    """The machine with its GPU eight times."""
    lines = machine.file.read_text(encoding="utf-8").splitlines()
    of_one = [line for line in lines if line.startswith("0.")]
    more = [f"{number}.{line[2:]}" for number in range(1, 8) for line in of_one]
    unique = [f"{number}.nvmlDeviceGetUUID GPU-{number}" for number in range(1, 8)]
    machine.now("gpus 8", *unique, *more)


@pytest.mark.parametrize("gpus", [1, 8])
def test_a_scrape_costs_little(gpus: int, start: Start, machine: Machine) -> None:
    if gpus > 1:
        eight(machine)
    exporter = start(machine)
    assert len(exporter.scrape().gpus()) == gpus
    seconds: list[float] = []
    before = cpu(exporter)
    for _ in range(SCRAPES):
        began = time.perf_counter()
        status, page = exporter.get("/metrics")
        seconds.append(time.perf_counter() - began)
        assert status == 200
    scrape = (cpu(exporter) - before) / SCRAPES
    live = running(exporter)
    time.sleep(IDLE)  # a span of time is what is measured here
    idle = sum(spent - live.get(thread, 0.0) for thread, spent in running(exporter).items()) / IDLE
    share = scrape / INTERVAL + idle
    print(  # noqa: T201 -- `-s` shows what was measured
        f"\n{gpus} GPU(s): {scrape * 1000:.1f} ms CPU a scrape; wall p50 {statistics.median(seconds) * 1000:.1f} ms, "
        f"p99 {statistics.quantiles(seconds, n=100)[98] * 1000:.1f} ms; idle {idle:.2%} of a core; "
        f"scraped every {INTERVAL:g} s {share:.2%}; {len(page.encode()) / 1024:.1f} KiB; {resident(exporter):.0f} MiB"
    )
    assert share < 0.01 * max(1, gpus / 2)
