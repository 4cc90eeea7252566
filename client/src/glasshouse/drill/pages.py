"""Metrics pages of faults that no drill may cause for real: a full disk, a broken GPU, an engine that hangs.

Each page has the names and labels of the exporter that it stands in for, as in tests/unit/observability/golden.
"""

import time
from collections.abc import Iterable

MODEL = "glasshouse-drill"
# The engine works for so long before it becomes slow: its best five minutes are what the alert compares with.
_GOOD_S = 660.0
_GOOD_TOKENS_PER_S = 200.0
_SLOW_TOKENS_PER_S = 1.0
_XID_EVERY_S = 60.0  # so that the counter is scraped at 0 first


def hung_engine(seconds: float) -> str:
    """A vLLM with running requests and no steps, a long queue, preemptions, and few tokens after many."""
    labels = f'engine="0",model_name="{MODEL}"'
    good = min(seconds, _GOOD_S)
    tokens = good * _GOOD_TOKENS_PER_S + (seconds - good) * _SLOW_TOKENS_PER_S
    return _page(
        (
            (f"vllm:num_requests_running{{{labels}}}", 3),
            (f"vllm:num_requests_waiting{{{labels}}}", 20),
            (f"vllm:iteration_tokens_total_count{{{labels}}}", 1000),
            (f"vllm:generation_tokens_total{{{labels}}}", tokens),
            (f"vllm:num_preemptions_total{{{labels}}}", seconds // 5),
        )
    )


def broken_gpus(seconds: float) -> str:
    """One GPU of two is lost; the other is hot, nearly full, reports XID 79 every minute, and was read an hour ago."""
    gpu = 'gpu="0",UUID="GPU-drill",modelName="drill"'
    return _page(
        (
            ("gpu_up", 0),
            ("gpu_exporter_gpus_expected", 2),
            ("gpu_exporter_gpus_visible", 1),
            (f'gpu_xid_errors_total{{{gpu},xid="79"}}', seconds // _XID_EVERY_S),
            (f'gpu_clock_event_active{{{gpu},clock_event="hw_thermal"}}', 1),
            (f"DCGM_FI_DEV_FB_FREE{{{gpu}}}", 200),
            ("gpu_exporter_last_success_timestamp_seconds", time.time() - 3600),
        )
    )


def faulty_host(_seconds: float) -> str:
    """A disk of 100 GB with 5 % free, and a clock that is ten minutes ahead."""
    disk = 'device="/dev/drill",fstype="ext4",mountpoint="/drill"'
    return _page(
        (
            (f"node_filesystem_avail_bytes{{{disk}}}", 5e9),
            (f"node_filesystem_size_bytes{{{disk}}}", 1e11),
            ("node_time_seconds", time.time() + 600),
        )
    )


def leaking_log(_seconds: float) -> str:
    """A privacy canary whose prompt was found in a log."""
    return _page((('privacy_canary_found{place="drill"}', 1),))


def failing_nginx(seconds: float) -> str:
    """An nginx that answers a request with 502 every two seconds."""
    return _page((('nginx_own_responses_total{code="502"}', seconds // 2),))


def restarting_engine(seconds: float) -> str:
    """An engine that its launcher starts every half minute."""
    return _page(
        (
            ("launcher_start_attempts_total", seconds // 30),
            (f'launcher_last_failure_info{{model="{MODEL}",reason="this is a drill"}}', 1),
        )
    )


def starved_gateway(seconds: float) -> str:
    """A gateway that lacks one of two workers and an engine for its model, and whose event loop is 0.2 s late."""
    wakeups = seconds * 10
    return _page(
        (
            ("gateway_workers_expected", 2),
            ("gateway_worker_up", 1),
            (f'gateway_engine_model{{engine="drill-lost",kind="vllm",model="{MODEL}-lost"}}', 1),
            ('gateway_engine_state{engine="drill-lost",state="ready"}', 0),
            ('gateway_event_loop_lag_seconds_bucket{le="0.1"}', 0),
            ('gateway_event_loop_lag_seconds_bucket{le="0.25"}', wakeups),
            ('gateway_event_loop_lag_seconds_bucket{le="+Inf"}', wakeups),
            ("gateway_event_loop_lag_seconds_count", wakeups),
            ("gateway_event_loop_lag_seconds_sum", wakeups * 0.2),
        )
    )


def _page(samples: Iterable[tuple[str, float]]) -> str:
    return "".join(f"{series} {value:.10g}\n" for series, value in samples)
