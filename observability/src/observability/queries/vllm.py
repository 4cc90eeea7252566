"""What vLLM reports. Names as of vLLM 0.32; tests/unit/observability/golden contains a scrape."""

from observability.promql import Scope, mean, quantile, share, total

JOB = "vllm"
# The labels of a server: two VMs may use the same instance name.
SERVER = ("instance", "vm")


def series(scope: Scope, name: str, *matchers: str) -> str:
    """A selector of one of its metrics."""
    return scope.series(f"vllm:{name}", JOB, *matchers, model="model_name", instance="instance", vm="vm")


def counter_rate(scope: Scope, counter: str, *by: str) -> str:
    """A counter per second."""
    return total(scope.rate(series(scope, counter)), *by)


def histogram_quantile(scope: Scope, histogram: str, number: float, *by: str) -> str:
    """A quantile of a histogram."""
    return quantile(number, scope.rate(series(scope, f"{histogram}_bucket")), *by)


def histogram_mean(scope: Scope, histogram: str, *by: str) -> str:
    """The mean of a histogram over the window."""
    return mean(scope, f"vllm:{histogram}", JOB, *by, model="model_name", instance="instance", vm="vm")


def finished_requests(scope: Scope) -> str:
    """Finished requests per second by reason."""
    return counter_rate(scope, "request_success_total", "finished_reason")


def running(scope: Scope, *by: str) -> str:
    """Requests in the batch."""
    return total(series(scope, "num_requests_running"), *by)


def waiting(scope: Scope, *by: str) -> str:
    """Requests that have not started."""
    return total(series(scope, "num_requests_waiting"), *by)


def waiting_by_reason(scope: Scope, reason: str) -> str:
    """Requests that wait for one reason: capacity (the batch or its memory is full) or deferred."""
    return total(series(scope, "num_requests_waiting_by_reason", f'reason="{reason}"'))


def kv_cache_used(scope: Scope, *by: str) -> str:
    """The share of KV cache blocks in use, of the fullest engine."""
    return f"max by ({', '.join(by)}) ({series(scope, 'kv_cache_usage_perc')})"


def prefix_cache_hit_ratio(scope: Scope) -> str:
    """The share of looked-up prompt tokens that were in the prefix cache."""
    return share(counter_rate(scope, "prefix_cache_hits_total"), counter_rate(scope, "prefix_cache_queries_total"))


def generated(scope: Scope, *by: str) -> str:
    """Generated tokens per second."""
    return counter_rate(scope, "generation_tokens_total", *by)


def tokens_per_second_per_request(scope: Scope, number: float) -> str:
    """Tokens per second of a single response: the slowest 5 % get at most that of `number` 0.05."""
    slow = histogram_quantile(scope, "request_time_per_output_token_seconds", 1 - number)
    return f"1 / ({slow} > 0)"


def cpu_cores(scope: Scope) -> str:
    """CPU cores used by the API server process."""
    return total(scope.rate(_process(scope, "process_cpu_seconds_total")), *SERVER)


def resident_bytes(scope: Scope) -> str:
    """Resident memory of the API server process."""
    return total(_process(scope, "process_resident_memory_bytes"), *SERVER)


def configuration(scope: Scope, *labels: str) -> str:
    """1 for each server, with the chosen labels of its cache configuration."""
    info = scope.series("vllm:cache_config_info", JOB, instance="instance", vm="vm")
    return f"max by (instance, vm, {', '.join(labels)}) ({info})"


def _process(scope: Scope, name: str) -> str:
    return scope.series(name, JOB, instance="instance", vm="vm")
