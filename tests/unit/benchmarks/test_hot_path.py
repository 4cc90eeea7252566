"""The calls of a request in the gateway's own code, which no load changes: more of them is a regression."""

from __future__ import annotations

import subprocess
import sys

import orjson
from benchmarks import hot_path

# 308 and 43 were measured, some of them on the log's thread, which wakes more or less often.
LIMITS = {"plain request": 330, "streamed event": 47}


def test_a_request_and_an_event_make_few_calls() -> None:
    # In a process of its own: it claims files for the metrics of the whole process.
    output = subprocess.run([sys.executable, hot_path.__file__, "--json"], capture_output=True, check=True).stdout
    calls = {unit: sum(parts.values()) for unit, parts in orjson.loads(output).items()}
    assert calls.keys() == LIMITS.keys()
    assert all(0 < count <= LIMITS[unit] for unit, count in calls.items()), calls
