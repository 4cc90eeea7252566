"""What a worker takes: CPU seconds that add up, and its resident memory."""

from __future__ import annotations

import time
from importlib import metadata
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.support.in_process.server import nonzero_samples

from gateway.telemetry import process
from gateway.telemetry.process import ProcessMetrics

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.telemetry.metrics import Metrics


def test_cpu_seconds_are_those_of_the_process_and_only_rise(metrics: Metrics) -> None:
    sampled = ProcessMetrics(metrics)
    for _ in range(3):
        before = time.process_time()
        sampled.sample()
        assert before <= nonzero_samples(metrics.process_cpu)[()] <= time.process_time()


def test_resident_memory_is_that_of_the_process(metrics: Metrics) -> None:
    ProcessMetrics(metrics)
    resident = psutil.Process().memory_info().rss
    assert nonzero_samples(metrics.process_memory)[()] == pytest.approx(resident, rel=0.2)


def test_the_version_is_that_of_the_package(metrics: Metrics) -> None:
    ProcessMetrics(metrics)
    assert nonzero_samples(metrics.build_info) == {(metadata.version("glasshouse-gateway"),): 1}


def test_without_proc_only_the_memory_is_missing(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "_STATM", tmp_path / "statm")
    ProcessMetrics(metrics)
    assert nonzero_samples(metrics.process_memory) == {}
    assert nonzero_samples(metrics.process_cpu)[()] > 0
