"""What vLLM reports. Names as of vLLM 0.32; tests/unit/observability/golden contains a scrape."""

from observability import downsampling
from observability.promql import Scope, mean, quantile, share, total

JOB = "vllm"
# The labels of a server: two VMs may use the same instance name.
SERVER = ("instance", "vm")
_LABELS = {"model": "model_name", "instance": "instance", "vm": "vm"}
# Counters and histograms that Prometheus records (`recording.vllm`), and their labels beyond those of a server. They
# are read where the scope has an interval between two points; by each scrape otherwise.
_HISTOGRAMS = (
    *("time_to_first_token_seconds", "inter_token_latency_seconds", "e2e_request_latency_seconds"),
    *("request_queue_time_seconds", "request_time_per_output_token_seconds"),
)
_SUMMARIES = (
    *(*_HISTOGRAMS, "request_prefill_time_seconds", "request_decode_time_seconds", "request_generation_tokens"),
    "iteration_tokens_total",
)
RECORDED: dict[str, tuple[str, ...]] = {
    **{f"{histogram}_bucket": ("le",) for histogram in _HISTOGRAMS},
    **{f"{summary}_{suffix}": () for summary in _SUMMARIES for suffix in ("sum", "count")},
    **{f"{tokens}_tokens_total": () for tokens in ("generation", "prompt")},
    **{f"prefix_cache_{what}_total": () for what in ("hits", "queries")},
    "num_preemptions_total": (),
    "prompt_tokens_by_source_total": ("source",),
    "admission_rejections_total": ("reason",),
}
STEP_SECONDS = 60
# A prompt of the gateway's probe, "1", is a token or two; users' prompts are longer.
_PROBE_PROMPT_TOKENS = 4


def recorded(metric: str) -> str:
    """The series of what a metric of RECORDED gained in each minute, for graphs and ranges.

    Raises:
        ValueError: the metric is not recorded.
    """
    if metric not in RECORDED:
        raise ValueError(f"vllm:{metric} is not recorded.")
    return f"server:vllm_{metric.removesuffix('_total')}:increase1m"


def series(scope: Scope, name: str, *matchers: str) -> str:
    """A selector of one of its metrics."""
    return scope.series(f"vllm:{name}", JOB, *matchers, model="model_name", instance="instance", vm="vm")


def counter_rate(scope: Scope, counter: str, *by: str) -> str:
    """A counter per second."""
    if scope.interval:
        return downsampling.per_second(scope, recorded(counter), by=by, **_LABELS)
    return total(scope.rate(series(scope, counter)), *by)


def gained(scope: Scope, counter: str, *by: str) -> str:
    """What a counter gained in the window."""
    if scope.interval:
        return downsampling.count(scope, recorded(counter), by=by, **_LABELS)
    return total(scope.increase(series(scope, counter)), *by)


def histogram_quantile(scope: Scope, histogram: str, number: float, *by: str) -> str:
    """A quantile of a histogram."""
    if scope.interval:
        return downsampling.quantile(scope, recorded(f"{histogram}_bucket"), number, by=by, **_LABELS)
    return quantile(number, scope.rate(series(scope, f"{histogram}_bucket")), *by)


def histogram_mean(scope: Scope, histogram: str, *by: str) -> str:
    """The mean of a histogram over the window."""
    if scope.interval:
        return share(gained(scope, f"{histogram}_sum", *by), gained(scope, f"{histogram}_count", *by))
    return mean(scope, f"vllm:{histogram}", JOB, *by, model="model_name", instance="instance", vm="vm")


def of_users(scope: Scope, expression: str, *by: str) -> str:
    """The expression where there was more traffic in the window than the gateway's one-token probes of an idle engine.

    A probe is one token of output after a very short prompt. So there were users where more tokens were generated than
    first tokens, or where prompts are longer than a probe's: both from the same scrape, to the token.

    Args:
        scope: the window.
        expression: what is shown, with the labels `by`.
        by: the labels of each result; none for one result.
    """
    generated_tokens, first_tokens, prompt_tokens, finished = (
        gained(scope, counter, *by)
        for counter in (
            *("generation_tokens_total", "time_to_first_token_seconds_count"),
            *("prompt_tokens_total", "e2e_request_latency_seconds_count"),
        )
    )
    longer = f"{generated_tokens} - {first_tokens} > 1 or {prompt_tokens} > {_PROBE_PROMPT_TOKENS} * {finished}"
    return f"({expression}) and on ({', '.join(by)}) ({longer})"


def finished_requests(scope: Scope) -> str:
    """Finished requests per second by reason."""
    return counter_rate(scope, "request_success_total", "finished_reason")


def running(scope: Scope, *by: str) -> str:
    """Requests in the batch; over time, the sum of each server's peak."""
    return total(scope.highest(series(scope, "num_requests_running")), *by)


def waiting(scope: Scope, *by: str) -> str:
    """Requests that have not started; over time, the sum of each server's peak."""
    return total(scope.highest(series(scope, "num_requests_waiting")), *by)


def waiting_by_reason(scope: Scope, *by: str) -> str:
    """Requests that wait, by `reason`: capacity (the batch or its memory is full) or deferred."""
    return total(scope.highest(series(scope, "num_requests_waiting_by_reason")), *by, "reason")


def kv_cache_used(scope: Scope, *by: str) -> str:
    """The share of KV cache blocks in use, of the fullest engine."""
    return f"max by ({', '.join(by)}) ({scope.highest(series(scope, 'kv_cache_usage_perc'))})"


def prefix_cache_hit_ratio(scope: Scope) -> str:
    """The share of looked-up prompt tokens that were in the prefix cache."""
    return share(counter_rate(scope, "prefix_cache_hits_total"), counter_rate(scope, "prefix_cache_queries_total"))


def generated(scope: Scope, *by: str) -> str:
    """Generated tokens per second."""
    return counter_rate(scope, "generation_tokens_total", *by)


def decode_speed(scope: Scope, *by: str) -> str:
    """Tokens per second of a single response after its first token: the mean over finished requests.

    A request of one token, such as a probe, counts for nothing.
    """
    tokens, requests, seconds = (
        counter_rate(scope, counter, *by)
        for counter in (
            *("request_generation_tokens_sum", "request_generation_tokens_count"),
            "request_decode_time_seconds_sum",
        )
    )
    return share(f"({tokens} - {requests} > 0)", seconds)


def slowest_decode_speed(scope: Scope) -> str:
    """Tokens per second that the slowest 5 % of responses get at most."""
    slow = histogram_quantile(scope, "request_time_per_output_token_seconds", 0.95)
    return of_users(scope, f"1 / ({slow} > 0)")


def lengths(scope: Scope, histogram: str) -> str:
    """Requests of the window by the bound of their length: for a heatmap."""
    return total(scope.increase(series(scope, f"{histogram}_bucket")), "le")


def lora_adapters(scope: Scope) -> str:
    """Seconds since each server last reported which LoRA adapters its requests use; only the latest report counts."""
    labels = "instance, vm, running_lora_adapters, waiting_lora_adapters, max_lora"
    reported = f"max by ({labels}) ({scope.series('vllm:lora_requests_info', JOB, instance='instance', vm='vm')})"
    return f"time() - topk by (instance, vm) (1, {reported})"


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
