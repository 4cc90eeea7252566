"""Ages and clocks of GPU metrics, energy with little traffic, and instances of partitioned GPUs."""

import shutil
from pathlib import Path

import pytest
from tests.support.promtool import Values, counter, evaluate

from observability import settings
from observability.promql import TOO_LITTLE, Scope, or_too_little
from observability.queries import gpu

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)

_SECONDS = 600
_NOW = Scope("1m", {"vm": ".*", "gpu": ".*"})
_SAMPLES = range(0, _SECONDS + 1, 5)


def _clocks(ahead: float, stale: float) -> dict[str, Values]:
    """A VM whose clock is ahead by so many seconds, and whose GPUs were read so long before each scrape."""
    exporter = 'job="gpu-exporter", instance="gpu-exporter:9400", vm="local"'
    return {
        f"gpu_exporter_last_success_timestamp_seconds{{{exporter}}}": [at + ahead - stale for at in _SAMPLES],
        f"gpu_exporter_replay{{{exporter}}}": [0.0 for _ in _SAMPLES],
        'node_time_seconds{job="node-exporter", instance="node-exporter:9100", vm="local"}': [
            at + ahead for at in _SAMPLES
        ],
    }


@pytest.mark.parametrize(("ahead", "stale"), [(0.0, 1.0), (600.0, 1.0), (-600.0, 1.0), (600.0, 120.0)])
def test_clock_skew_is_shown_and_is_no_age(ahead: float, stale: float, tmp_path: Path) -> None:
    expected = {gpu.data_age(_NOW): {'{vm="local"}': stale}, gpu.clock_skew(_NOW): {'{vm="local"}': ahead}}
    evaluate(tmp_path, _clocks(ahead, stale), expected, at=_SECONDS)


def test_without_node_exporter_the_age_shows_the_skew(tmp_path: Path) -> None:
    series = {name: values for name, values in _clocks(600, 1).items() if not name.startswith("node_")}
    evaluate(tmp_path, series, {gpu.data_age(_NOW): {'{vm="local"}': -599}, gpu.clock_skew(_NOW): {}}, at=_SECONDS)


def test_a_recording_has_no_age(tmp_path: Path) -> None:
    series = _clocks(0, 1)
    replay = next(name for name in series if name.startswith("gpu_exporter_replay"))
    evaluate(tmp_path, {**series, replay: [1.0 for _ in _SAMPLES]}, {gpu.data_age(_NOW): {}}, at=_SECONDS)


@pytest.mark.parametrize("tokens", [5_000, 40, 0])
def test_energy_per_token_needs_tokens(tokens: int, tmp_path: Path) -> None:
    probes = [(at, 1.0) for at in range(20, _SECONDS, 20)]
    requests = [(300, 1.0)] if tokens else []
    vllm = 'job="vllm", instance="vllm:8001", vm="local", model_name="m"'
    millijoules = [72_000.0 * at for at in _SAMPLES]
    series: dict[str, Values] = {
        'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{job="gpu-exporter", vm="local", gpu="0"}': millijoules,
        f"vllm:generation_tokens_total{{{vllm}}}": counter(_SECONDS, (0, 10_000), *probes, (300, tokens)),
        f"vllm:time_to_first_token_seconds_count{{{vllm}}}": counter(_SECONDS, (0, 10_000), *probes, *requests),
    }
    scope = Scope("9m", _NOW.filters)
    expression = or_too_little(gpu.joules_per_token(scope, settings.MIN_TOKENS), gpu.tokens_of_users(scope))
    # 72 W for nine minutes, by the tokens of requests and of a probe each 20 s.
    shown: dict[int, dict[str, float]] = {
        5_000: {"{}": round(72 * 540 / (5_000 + 27), 1)}, 40: {"{}": TOO_LITTLE}, 0: {},
    }  # fmt: skip
    evaluate(tmp_path, series, {f"round({expression}, 0.1)": shown[tokens]}, at=_SECONDS - 1)


def test_memory_of_mig_instances(tmp_path: Path) -> None:
    of_gpu = 'job="gpu-exporter", vm="local", gpu="0", GPU_I_PROFILE="3g.20gb", GPU_I_ID="1"'
    series: dict[str, Values] = {
        f"DCGM_FI_DEV_FB_USED{{{of_gpu}}}": [100.0] * 60 + [900.0] * 3 + [100.0] * 58,
        'DCGM_FI_DEV_FB_USED{job="gpu-exporter", vm="local", gpu="1"}': [7.0 for _ in _SAMPLES],
    }
    labels = '{GPU_I_ID="1", GPU_I_PROFILE="3g.20gb", gpu="0", vm="local"}'
    peak = Scope("10m", _NOW.filters, extremes=True)
    expected = {gpu.instance_memory(_NOW, "USED"): {labels: 100}, gpu.instance_memory(peak, "USED"): {labels: 900}}
    evaluate(tmp_path, series, expected, at=_SECONDS)
