"""An idle vLLM gets a one-token probe now and then, which it counts like any request."""

import shutil
from pathlib import Path

import pytest
from tests.support.generated_files import goldens
from tests.support.promtool import Values, counter, evaluate, every

from observability import settings
from observability.missing_metrics import parse_exposition
from observability.promql import Scope
from observability.queries import vllm

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)

_SECONDS = 3600
_WINDOWS = ("20s", "35s", "1m", "20m", "1h")
_PROBE_INTERVAL = 20
_BY_MODEL = ("model_name", "vm")


def _server(model: str, prompt_tokens: int, output_tokens: int, requests: tuple[int, ...]) -> dict[str, Values]:
    """The series of a server that answers requests at these seconds, after 100 others, and probes: 10 ms a token."""
    probes = [at for at, _ in every(_PROBE_INTERVAL, _SECONDS, 1)]

    def counted(per_probe: float, per_request: float) -> list[float]:
        events = ((at, per_probe) for at in probes)
        return counter(_SECONDS, (0, 100 * per_request), *events, *((at, per_request) for at in requests))

    labels = f'job="vllm", instance="vllm:8001", vm="local", model_name="{model}"'
    fast = counted(1, 0)
    series: dict[str, Values] = {
        "generation_tokens_total": counted(1, output_tokens),
        "time_to_first_token_seconds_count": counted(1, 1),
        "prompt_tokens_total": counted(2, prompt_tokens),
        "e2e_request_latency_seconds_count": counted(1, 1),
        "prefix_cache_queries_total": counted(2, prompt_tokens),
        "prefix_cache_hits_total": counted(0, 16),
        "request_generation_tokens_sum": counted(1, output_tokens),
        "request_generation_tokens_count": counted(1, 1),
        "request_decode_time_seconds_sum": counted(0, 0.01 * (output_tokens - 1)),
    }
    buckets = {
        f'vllm:request_time_per_output_token_seconds_bucket{{{labels}, le="{bound}"}}': values
        for bound, values in (("0.01", fast), ("0.025", counted(1, 1)), ("+Inf", counted(1, 1)))
    }
    return {f"vllm:{name}{{{labels}}}": values for name, values in series.items()} | buckets


def _shown(scope: Scope) -> tuple[str, ...]:
    return (
        vllm.decode_speed(scope),
        vllm.slowest_decode_speed(scope),
        vllm.of_users(scope, vllm.prefix_cache_hit_ratio(scope)),
        vllm.of_users(scope, vllm.generated(scope)),
        vllm.of_users(scope, vllm.generated(scope, *_BY_MODEL), *_BY_MODEL),
    )


def test_probes_alone_are_no_traffic(tmp_path: Path) -> None:
    nothing: dict[str, dict[str, float]] = {
        expression: {} for window in _WINDOWS for expression in _shown(Scope(window))
    }
    for at in (_SECONDS - 15, _SECONDS - 5):
        evaluate(tmp_path, _server("demo", 20, 8, ()), nothing, at=at)


@pytest.mark.parametrize("window", ["35s", "1m", "20m"])
def test_a_single_request_among_probes_has_its_own_speed(window: str, tmp_path: Path) -> None:
    expected = {vllm.decode_speed(Scope(window)): {"{}": 100}}
    evaluate(tmp_path, _server("demo", 20, 28, (_SECONDS - 10,)), expected, at=_SECONDS - 1)


def test_requests_of_one_token_are_traffic_by_their_prompts(tmp_path: Path) -> None:
    scope = Scope("1m")
    expected = {vllm.of_users(scope, vllm.prefix_cache_hit_ratio(scope)): {"{}": 16 / 44}, vllm.decode_speed(scope): {}}
    evaluate(tmp_path, _server("demo", 40, 1, (_SECONDS - 10,)), expected, at=_SECONDS - 1)


def test_an_idle_model_beside_a_busy_one_is_not_shown(tmp_path: Path) -> None:
    series = _server("idle", 20, 8, ()) | _server("busy", 20, 28, (_SECONDS - 10,))
    scope = Scope("1m")
    busy = '{model_name="busy", vm="local"}'
    expected = {vllm.decode_speed(scope, *_BY_MODEL): {busy: 100}}
    evaluate(tmp_path, series, expected, at=_SECONDS - 1)


def test_limits_in_graphs_are_bounds_of_vllms_own_buckets() -> None:
    """A quantile is judged by its colour, and is only as exact as the bounds around it."""
    (scrape,) = (text for name, text in goldens().items() if name.startswith("vllm-0"))
    exported = parse_exposition(scrape)
    for histogram, limit in (
        ("time_to_first_token_seconds", settings.TTFT_P95_LIMIT_SECONDS),
        ("inter_token_latency_seconds", settings.TPOT_P95_LIMIT_SECONDS),
        ("request_time_per_output_token_seconds", settings.TPOT_P95_LIMIT_SECONDS),
    ):
        assert str(limit) in exported[f"vllm:{histogram}_bucket"]["le"], histogram
