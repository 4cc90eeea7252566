"""Measure what a scrape of a full gateway costs: every series of the budget, in the files of one or several workers.

    python benchmarks/full_exposition.py --workers 1,4

`README.md` beside this file explains what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from gateway.dialects import ENDPOINTS
from gateway.telemetry.log_writer import LogWriter
from gateway.telemetry.logs import RequestLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.multiprocess import exposition, slots
from gateway.telemetry.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINES, MODELS, KEYS = ("vllm", "llamacpp"), 16, 60
STATES = ("starting", "ready", "draining", "ejected", "down", "failed")
RENDERS = 15
# Values that change in each file between two scrapes: none; neighbours, as requests to one model have; and all of them.
CHANGES = {"nothing has changed": 0, "40 neighbouring values a file have changed": 40, "all have changed": None}
_VALUE = struct.Struct("d")
_MILLI = 1_000


def write_files(directory: Path) -> None:
    """Write the files of a worker that knows everything that it may know. Run it in a process of its own."""
    slots.claim(directory)
    relayed = {path: endpoint.streams for path, endpoint in ENDPOINTS.items()}
    recorder = Recorder(Metrics(CollectorRegistry()), RequestLog("error", LogWriter(None)), relayed=relayed)
    for engine in ENGINES:
        recorder.costs.declare_engine(engine, 1.0)
        recorder.declare_engine(engine, STATES)
        recorder.engine_state_set(engine, "ready")
    # One more than there is room for: so there is "other", too.
    recorder.declare_keys(f"key-{number}" for number in range(KEYS + 1))
    models = [f"model-{number}" for number in range(MODELS + 1)]
    recorder.declare_models(models)
    for engine in ENGINES:
        recorder.engine_models_read(engine, engine, models)


def measure(directory: Path, workers: int) -> None:
    """Print the median CPU milliseconds of a scrape."""
    slots.wipe(directory)
    for number in range(workers):
        subprocess.run([sys.executable, __file__, "--write", str(directory)], check=True, stderr=subprocess.DEVNULL)
        for path in directory.glob("*_0.db"):  # the next one will claim the same slot
            path.rename(directory / f"{path.stem.removesuffix('_0')}_{number + 1}.db")
    page = exposition.MultiprocessExposition(directory)
    text = page.render()
    series = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    places = {path: _places(path) for path in directory.glob("[chs]*.db")}
    dice = random.Random(1)  # noqa: S311 - no secret
    for name, changes in CHANGES.items():
        times = []
        for _ in range(RENDERS):
            for path, offsets in places.items():
                size = len(offsets) if changes is None else changes
                first = dice.randint(0, len(offsets) - min(size, len(offsets)))
                _add_one(path, offsets[first : first + size])
            began = time.process_time()
            page.render()
            times.append(_MILLI * (time.process_time() - began))
        print(
            f"{workers} workers, {series} series, {len(text):,} bytes, {name}: "
            f"{statistics.median(times):.1f} ms of CPU (least {min(times):.1f})",
            flush=True,
        )


def _places(path: Path) -> list[int]:
    """The offsets of all values in a file, in bytes."""
    data = path.read_bytes()
    used = int.from_bytes(data[:4], sys.byteorder)
    return [offset for _, offset in exposition._entries(data[:used], exposition._FIRST_ENTRY)]  # noqa: SLF001 - the format is known there only


def _add_one(path: Path, offsets: Sequence[int]) -> None:
    with path.open("r+b") as file:
        for offset in offsets:
            file.seek(offset)
            (value,) = _VALUE.unpack(file.read(_VALUE.size))
            file.seek(offset)
            file.write(_VALUE.pack(value + 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Measure what a scrape of a full gateway costs.")
    parser.add_argument("--workers", default="1,4", help="numbers of workers, with a comma between them")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.write:
        write_files(given.write)
        return 0
    for workers in given.workers.split(","):
        with tempfile.TemporaryDirectory(prefix="glasshouse-bench-", dir="/dev/shm") as directory:
            measure(Path(directory), int(workers))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
