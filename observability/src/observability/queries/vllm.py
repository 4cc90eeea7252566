"""What vLLM says of itself. Names as vLLM 0.32 exports them; tests/unit/observability/golden holds a scrape."""

from observability.promql import Scope, mean, quantile, share, total

JOB = "vllm"
# A server: two VMs may call theirs the same.
SERVER = ("instance", "vm")


def series(scope: Scope, name: str, *matchers: str) -> str:
    """A selector of one of its metrics."""
    return scope.series(f"vllm:{name}", JOB, *matchers, model="model_name", instance="instance", vm="vm")


def rate_of(scope: Scope, counter: str, *by: str) -> str:
    """A counter per second."""
    return total(scope.rate(series(scope, counter)), *by)


def quantile_of(scope: Scope, histogram: str, number: float, *by: str) -> str:
    """A quantile of a histogram."""
    return quantile(number, scope.rate(series(scope, f"{histogram}_bucket")), *by)


def mean_of(scope: Scope, histogram: str, *by: str) -> str:
    """The mean of a histogram over the window."""
    return mean(scope, f"vllm:{histogram}", JOB, *by, model="model_name", instance="instance", vm="vm")


def running(scope: Scope, *by: str) -> str:
    """Requests in the batch."""
    return total(series(scope, "num_requests_running"), *by)


def waiting(scope: Scope, *by: str) -> str:
    """Requests that are not begun."""
    return total(series(scope, "num_requests_waiting"), *by)


def waiting_for(scope: Scope, reason: str) -> str:
    """Requests that wait for a reason: capacity (the batch or its memory is full) or deferred."""
    return total(series(scope, "num_requests_waiting_by_reason", f'reason="{reason}"'))


def kv_cache_used(scope: Scope, *by: str) -> str:
    """The share of KV cache blocks in use, where it is greatest."""
    return f"max by ({', '.join(by)}) ({series(scope, 'kv_cache_usage_perc')})"


def prefix_hits(scope: Scope) -> str:
    """The share of looked-up prompt tokens that were found in the prefix cache."""
    return share(rate_of(scope, "prefix_cache_hits_total"), rate_of(scope, "prefix_cache_queries_total"))


def generated(scope: Scope, *by: str) -> str:
    """Tokens produced per second."""
    return rate_of(scope, "generation_tokens_total", *by)


def speed_of_one_answer(scope: Scope, number: float) -> str:
    """Tokens per second of a single answer: `number` 0.05 is what the slowest 5 % get at most."""
    slow = quantile_of(scope, "request_time_per_output_token_seconds", 1 - number)
    return f"1 / ({slow} > 0)"


def cores_used(scope: Scope) -> str:
    """CPU cores that the API server's process keeps busy."""
    return total(scope.rate(_process(scope, "process_cpu_seconds_total")), *SERVER)


def resident_bytes(scope: Scope) -> str:
    """Memory of the API server's process."""
    return total(_process(scope, "process_resident_memory_bytes"), *SERVER)


def configuration(scope: Scope, *labels: str) -> str:
    """1 for each server, with the chosen labels of its cache's configuration."""
    info = scope.series("vllm:cache_config_info", JOB, instance="instance", vm="vm")
    return f"max by (instance, vm, {', '.join(labels)}) ({info})"


def _process(scope: Scope, name: str) -> str:
    return scope.series(name, JOB, instance="instance", vm="vm")
