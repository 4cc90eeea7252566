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
LLAMACPP_RUNNING = "server:llamacpp_requests_processing:max15s"
LLAMACPP_WAITING = "server:llamacpp_requests_deferred:max15s"
MEMORY_USED = "vm:node_memory_used:max1m"
DISK_FREE = "mountpoint:node_filesystem_free:min1m"
GPU_MEMORY = {"USED": "gpu:memory_used:max1m", "RESERVED": "gpu:memory_reserved:max1m", "FREE": "gpu:memory_free:min1m"}


def engine_state(scope: Scope) -> str:
    """The worst state of each engine in the window, as `engines.state_code`."""
    return extreme(scope, ENGINE_STATE, "max by (engine, vm)", engine="engine")


def in_flight(scope: Scope) -> str:
    """The sum of each model's peak of requests that have started and not finished."""
    return extreme(scope, IN_FLIGHT, "sum", model="model")


def vllm(scope: Scope, name: str) -> str:
    """The sum of the peaks of vLLM's servers; `name` is one of the recorded series."""
    return extreme(scope, name, "sum", model="model_name", instance="instance")


def llamacpp(scope: Scope, name: str) -> str:
    """The sum of the peaks of llama.cpp's servers; `name` is one of the recorded series."""
    return extreme(scope, name, "sum", instance="instance")


def memory_used(scope: Scope) -> str:
    """The highest share of main memory that was not available."""
    return extreme(scope, MEMORY_USED, "max by (vm)")


def disk_free(scope: Scope) -> str:
    """The lowest free share of each disk."""
    return extreme(scope, DISK_FREE, "min by (mountpoint, vm)")


def gpu_memory(scope: Scope, kind: str) -> str:
    """MiB of each GPU at the fullest moment; kind is USED, RESERVED or FREE."""
    return extreme(scope, GPU_MEMORY[kind], "max by (gpu, vm)", gpu="gpu")


def extreme(scope: Scope, name: str, aggregation: str, **labels: str) -> str:
    """The highest or lowest value in the window of a recorded series, aggregated; `labels` as in `Scope.series`."""
    function = f"{downsampling.made_by(name)}_over_time"

    def aggregated(values: str, _: int) -> str:
        return f"{aggregation} ({function}({scope.over(values)}))"

    return downsampling.read(scope, name, aggregated, STEP_SECONDS, vm="vm", **labels)
