"""The benchmark of what looking costs, run whole and small."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys

import pytest
from benchmarks import targets

LOOKING = targets.ROOT / "benchmarks" / "looking.py"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return min(port, 65_535 - targets.PORTS)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_small_run_measures_everything() -> None:
    command = [sys.executable, str(LOOKING), "--rounds", "1", "--recycles", "1", "--first-port", str(_free_port())]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows] == [
        "| /metrics",
        "| fresh, idle",
        "| fresh, under load",
        "| 1 recycles, under load",
    ]
    for row in rows[1:]:
        assert int(row[1]) > 100, "series"
        assert 0 < float(row[2]) < 100, "CPU milliseconds of a scrape"
    assert re.search(r"without scrapes, [\d.]+ with one every", done.stdout)
    assert len(re.findall(r"counting and logging a .*: \d+ of \d+ µs CPU", done.stdout)) == 2
