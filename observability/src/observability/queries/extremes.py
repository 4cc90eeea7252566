"""The highest or lowest values of gauges over any range, from series that Prometheus records (`recording.extremes`).

Seven days of a gauge that is scraped every five seconds are 120,000 samples. Recorded is the extreme of every 15 s or
minute, and that of every 15 minutes (see `downsampling`): no peak is lost, and a graph reads a fraction of the samples.
"""

from observability import downsampling, settings
from observability.promql import Scope

STEP_SECONDS = settings.EVALUATION_INTERVAL_SECONDS
MACHINE_STEP_SECONDS = 60

ENGINE_STATE = "engine:gateway_engine_state_code:max15s"
IN_FLIGHT = "model:gateway_inflight_requests:max15s"
VLLM_RUNNING = "server:vllm_num_requests_running:max15s"
VLLM_WAITING = "server:vllm_num_requests_waiting:max15s"
VLLM_WAITING_BY_REASON = "server:vllm_num_requests_waiting_by_reason:max15s"
KV_CACHE = "server:vllm_kv_cache_usage:max15s"
LAUNCHER_STATE = "job:launcher_state_code:max15s"
LLAMACPP_RUNNING = "server:llamacpp_requests_processing:max15s"
LLAMACPP_WAITING = "server:llamacpp_requests_deferred:max15s"
MEMORY_USED = "vm:node_memory_used:max1m"
DISK_FREE = "mountpoint:node_filesystem_free:min1m"
GPU_MEMORY = {"USED": "gpu:memory_used:max1m", "RESERVED": "gpu:memory_reserved:max1m", "FREE": "gpu:memory_free:min1m"}

_VLLM = {"model": "model_name", "instance": "instance", "vm": "vm"}


def engine_state(scope: Scope) -> str:
    """The worst state of each engine in the window, as `engines.state_code`."""
    return downsampling.extreme(scope, ENGINE_STATE, "max by (engine, vm)", engine="engine", vm="vm")


def in_flight(scope: Scope) -> str:
    """The sum of each model's peak of requests that have started and not finished."""
    return downsampling.extreme(scope, IN_FLIGHT, "sum", model="model", vm="vm")


def vllm(scope: Scope, name: str, *matchers: str) -> str:
    """The sum of the peaks of vLLM's servers; `name` is one of the recorded series."""
    return downsampling.extreme(scope, name, "sum", *matchers, **_VLLM)


def kv_cache_used(scope: Scope) -> str:
    """The share of KV cache blocks in use of each vLLM server at the fullest moment."""
    return downsampling.extreme(scope, KV_CACHE, "max by (instance, vm)", **_VLLM)


def launcher_state(scope: Scope) -> str:
    """The worst state of each launcher's engine in the window, as `launchers.state_code`."""
    return downsampling.extreme(scope, LAUNCHER_STATE, "max by (job, vm)", vm="vm")


def llamacpp(scope: Scope, name: str) -> str:
    """The sum of the peaks of llama.cpp's servers; `name` is one of the recorded series."""
    return downsampling.extreme(scope, name, "sum", instance="instance", vm="vm")


def memory_used(scope: Scope) -> str:
    """The highest share of main memory that was not available."""
    return downsampling.extreme(scope, MEMORY_USED, "max by (vm)", vm="vm")


def disk_free(scope: Scope) -> str:
    """The lowest free share of each disk."""
    return downsampling.extreme(scope, DISK_FREE, "min by (mountpoint, vm)", vm="vm")


def gpu_memory(scope: Scope, kind: str) -> str:
    """MiB of each GPU at the fullest moment; kind is USED, RESERVED or FREE."""
    return downsampling.extreme(scope, GPU_MEMORY[kind], "max by (gpu, vm)", gpu="gpu", vm="vm")
