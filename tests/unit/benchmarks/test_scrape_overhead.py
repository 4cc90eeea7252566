"""A whole small run of the benchmark of scrapes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from benchmarks import scrape_overhead
from tests.support.program import free_port

SCRAPE_OVERHEAD = scrape_overhead.__file__


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_small_run_measures_everything() -> None:
    options = ("--rounds", "1", "--recycles", "1", "--first-port", str(free_port()))
    command = [sys.executable, SCRAPE_OVERHEAD, *options]
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
    assert len(re.findall(r"metrics and log of a .*: \d+ of \d+ µs CPU", done.stdout)) == 2
