"""What the vLLM servers expose."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.support.truth import engine_amounts as e
from tests.support.truth import traffic
from tests.support.truth.amounts import Amount
from tests.support.truth.samples import Changes
from tests.support.truth.targets import waiting
from tests.support.truth.targets.counters import Target, restarts
from tests.support.truth.traffic import Engine, Request

_TARGET = 'job="vllm",instance="vllm:8000",vm="{vm}"'
# By name: what a request adds; nothing where it has no value.
_COUNTERS: dict[str, Amount] = {
    "generation_tokens_total": e.generated, "prompt_tokens_total": e.prompted,
    "prefix_cache_hits_total": e.cached, "prefix_cache_queries_total": e.prompted,
    "iteration_tokens_total_sum": e.step_tokens, "iteration_tokens_total_count": e.steps,
}  # fmt: skip
HISTOGRAMS: dict[str, Amount] = {
    "time_to_first_token_seconds": e.ttft, "e2e_request_latency_seconds": e.e2e,
    "request_queue_time_seconds": e.only_finished(e.queue), "request_time_per_output_token_seconds": e.tpot,
    "request_prompt_tokens": e.input_length, "request_generation_tokens": e.output_length,
}  # fmt: skip
_ITL = "inter_token_latency_seconds"
# Histograms of which nobody reads the buckets.
_SUMMARIES: dict[str, Amount] = {
    "request_prefill_time_seconds": e.only_finished(e.prefill), "request_decode_time_seconds": e.decode,
}  # fmt: skip
_SOURCES: dict[str, Amount] = {"local_compute": e.computed, "local_cache_hit": e.cached}
# At the queue of three minutes.
PREEMPTIONS, REJECTIONS, REJECTED_FOR = 3, 5, "max_num_queued_reqs"
PRESSURE_AT = (traffic.QUEUE_AT + 60, traffic.ASKED_AT - 3.2 * traffic.HOUR)
CPU_CORES = {traffic.LOCAL: 0.25, traffic.REMOTE: 0.75}
MEMORY_BYTES = {traffic.LOCAL: 5e9, traffic.REMOTE: 6e9}
# Of the KV cache: what a running request takes.
KV_SHARE = 0.2
LORA_AGE_S = 30


def scrapes(at_engines: Iterable[Request], times: Sequence[int]) -> Changes:
    """The samples of their series, only where they change."""
    found: Changes = {}
    for engine in traffic.ENGINES:
        if engine.kind == "vllm":
            requests = [each for each in at_engines if e.vllm(each) and each.vm == engine.vm]
            found |= _server(engine, requests, times)
    return found


def _server(engine: Engine, requests: Sequence[Request], times: Sequence[int]) -> Changes:
    target = _TARGET.format(vm=engine.vm)
    away = restarts(engine.name, engine.vm)
    server = Target(f'{target},model_name="{engine.model}",engine="0"', times, away)
    process = Target(target, times, away)
    # Without the label of an engine core.
    rejections = f'model_name="{engine.model}",reason="{REJECTED_FOR}"'
    process.declare("vllm:admission_rejections_total", rejections)
    _declare(server)
    for request in requests:
        _count(server, request)
    for at in PRESSURE_AT:
        if at > times[0]:
            server.add(at, "vllm:num_preemptions_total", PREEMPTIONS)
            process.add(at, "vllm:admission_rejections_total", REJECTIONS, rejections)
    _gauges(server, requests, times, [times[0], *(each.end for each in away if each.start > times[0])])
    process.declare("process_cpu_seconds_total")
    for before, at in pairwise(times):
        process.add(at, "process_cpu_seconds_total", CPU_CORES[engine.vm] * (at - before))
    for at in (times[0], *(each.end for each in away)):
        process.set(at, "process_resident_memory_bytes", MEMORY_BYTES[engine.vm])
        process.set(at, "vllm:cache_config_info", 1, f'engine="0",{_CONFIGURATION}')
        process.set(at, "vllm:lora_requests_info", traffic.ASKED_AT - LORA_AGE_S, _ADAPTERS)
    return server.changes(target) | process.changes(target)


def _declare(server: Target) -> None:
    for name in _COUNTERS:
        server.declare(f"vllm:{name}")
    for name in (*HISTOGRAMS, _ITL):
        server.declare_histogram(f"vllm:{name}", e.bounds(name))
    for name in _SUMMARIES:
        server.declare_histogram(f"vllm:{name}", ())
    server.declare("vllm:prompt_tokens_by_source_total", *(f'source="{source}"' for source in _SOURCES))
    server.declare("vllm:request_success_total", *(f'finished_reason="{reason}"' for reason in ("stop", "length")))
    server.declare("vllm:num_preemptions_total")


def _count(server: Target, request: Request) -> None:
    at = request.ended
    for name, of in _COUNTERS.items():
        server.add(at, f"vllm:{name}", of(request) or 0)
    for source, of in _SOURCES.items():
        server.add(at, "vllm:prompt_tokens_by_source_total", of(request) or 0, f'source="{source}"')
    for name, of in HISTOGRAMS.items():
        if (value := of(request)) is not None:
            server.observe(at, f"vllm:{name}", value, e.bounds(name))
    for name, of in _SUMMARIES.items():
        if (value := of(request)) is not None:
            server.observe(at, f"vllm:{name}", value, ())
    if (interval := e.tpot(request)) is not None:
        server.observe(at, f"vllm:{_ITL}", interval, e.bounds(_ITL), e.intervals(request))
    if e.finished(request):
        server.add(at, "vllm:request_success_total", 1, f'finished_reason="{e.finish_reason(request)}"')


def _gauges(server: Target, requests: Sequence[Request], times: Sequence[int], starts: Iterable[float]) -> None:
    for at in starts:
        server.set(at, "vllm:num_requests_waiting_by_reason", 0, 'reason="deferred"')
    for at, running, queued in waiting.moves(requests, times, traffic.SLOTS, starts):
        server.set(at, "vllm:num_requests_running", running)
        server.set(at, "vllm:num_requests_waiting", queued)
        server.set(at, "vllm:num_requests_waiting_by_reason", queued, 'reason="capacity"')
        server.set(at, "vllm:kv_cache_usage_perc", KV_SHARE * running)


_ADAPTERS = 'running_lora_adapters="german",waiting_lora_adapters="",max_lora="4"'
_CONFIGURATION = ",".join(
    f'{name}="{value}"'
    for name, value in {
        "num_gpu_blocks": "1000", "block_size": "16", "kv_cache_size_tokens": "16000", "cache_dtype": "auto",
        "gpu_memory_utilization": "0.9", "enable_prefix_caching": "True",
    }.items()
)  # fmt: skip
