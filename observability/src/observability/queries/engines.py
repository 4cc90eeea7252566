"""What the engines say of themselves."""

from observability.promql import Scope, quantile, total
from observability.queries import gateway

VLLM = "vllm"
LLAMACPP = "llamacpp"


def added_latency(scope: Scope) -> str:
    """Median time to first token at the gateway, less vLLM's own for the same model."""
    engine = quantile(0.5, scope.rate(_vllm(scope, "time_to_first_token_seconds_bucket")), "model_name")
    renamed = f'label_replace({engine}, "model", "$1", "model_name", "(.+)")'
    ours = gateway.time_to_first_token(scope, 0.5, "model")
    return f"sum by (model) ({ours}) - sum by (model) ({renamed})"


def vllm_running(scope: Scope) -> str:
    """Requests in vLLM's batch."""
    return total(_vllm(scope, "num_requests_running"))


def vllm_waiting(scope: Scope) -> str:
    """Requests that vLLM has not begun."""
    return total(_vllm(scope, "num_requests_waiting"))


def llamacpp_running(scope: Scope) -> str:
    """Requests in llama.cpp's slots."""
    return total(scope.series("llamacpp:requests_processing", LLAMACPP))


def llamacpp_waiting(scope: Scope) -> str:
    """Requests that wait for a slot of llama.cpp."""
    return total(scope.series("llamacpp:requests_deferred", LLAMACPP))


def _vllm(scope: Scope, name: str) -> str:
    return scope.series(f"vllm:{name}", VLLM, model="model_name")
