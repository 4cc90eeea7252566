"""What the queries of the Engine dashboard should show."""

from collections.abc import Callable

from tests.support.truth import amounts as a
from tests.support.truth import combined, seen
from tests.support.truth import engine_amounts as e
from tests.support.truth import measures as m
from tests.support.truth.amounts import Amount
from tests.support.truth.comparison import Compared
from tests.support.truth.measures import Measure
from tests.support.truth.overview import QUEUE, Table, around, cell, now, over_range, recent
from tests.support.truth.traffic import Request

from observability.queries.launchers import STATES

_SERVER = "instance vm"
_TTFT, _ITL, _E2E = "time_to_first_token_seconds", "inter_token_latency_seconds", "e2e_request_latency_seconds"
_TPOT = "request_time_per_output_token_seconds"
# More than a probe's.
_TOKENS_OF_CLIENTS = 4
_VLLM_SERVED = combined.at_engines(m.total(lambda request: e.vllm(request) and e.of_clients(request), e.generated))


def _vllm(of: Amount, by: str = "") -> Measure:
    """The sum of what vLLM counts."""
    return combined.at_engines(m.total(e.vllm, of, by))


def _llamacpp(of: Amount, by: str = "") -> Measure:
    """The sum of what llama.cpp counts."""
    return combined.at_engines(m.total(e.llamacpp, of, by))


def _probes(of: Amount) -> Measure:
    return combined.at_engines(m.total(lambda request: e.llamacpp(request) and not e.of_clients(request), of))


def _served_by_vllm(measure: Measure) -> Measure:
    """Where it had more to do than probes."""
    return combined.at_least(1, _VLLM_SERVED, measure)


def _served_by_llamacpp(measure: Measure) -> Measure:
    of_clients = (
        combined.at_engines(m.total(lambda request: e.llamacpp(request) and e.of_clients(request), of))
        for of in (e.generated, e.prompted)
    )
    return combined.at_least(_TOKENS_OF_CLIENTS, combined.larger(*of_clients), measure)


def _quantile(number: float, of: Amount, histogram: str, by: str = "") -> Measure:
    weight = e.intervals if histogram == _ITL else lambda _: 1
    return combined.at_engines(m.quantile(number, of, e.bounds(histogram), by, e.vllm, weight))


def _mean(of: Amount) -> Measure:
    return m.ratio(_vllm(of), _vllm(lambda request: None if of(request) is None else 1))


def _histogram(title: str, of: Amount, histogram: str) -> Table:
    mean = _mean(of)
    if histogram == _ITL:
        mean = m.ratio(_vllm(e.all_intervals), _vllm(e.intervals))
    return {
        **{
            (title, f"p{number}"): cell(_served_by_vllm(_quantile(number / 100, of, histogram)))
            for number in (50, 95, 99)
        },
        (title, "mean"): cell(_served_by_vllm(mean)),
    }


def _columns(title: str, by: str, labels: str) -> Table:
    rate = Compared(_named(_vllm(e.generated, by), labels), "range", recorded=True, per_second=True, tolerance=0.01)
    return {
        (title, "Tokens/s"): rate,
        (title, "Running"): now(seen.latest("vllm:num_requests_running", labels)),
        (title, "Waiting"): now(seen.latest("vllm:num_requests_waiting", labels)),
        (title, "TTFT p95"): over_range(_named(_quantile(0.95, e.ttft, _TTFT, by), labels)),
        (title, "ITL p95"): over_range(_named(_quantile(0.95, e.tpot, _ITL, by), labels)),
    }


def _named(measure: Measure, labels: str) -> Measure:
    """By the labels of a server, which is one of each VM."""
    return combined.prefixed("vllm:8000 ", measure, labels) if labels == _SERVER else measure


def _lengths() -> Table:
    found: Table = {}
    for name, of, histogram in (
        ("prompt", e.input_length, "request_prompt_tokens"), ("output", e.output_length, "request_generation_tokens"),
    ):  # fmt: skip
        for number in (50, 95):
            quantile = _served_by_vllm(_quantile(number / 100, of, histogram))
            found["vLLM prompt and output length", f"{name} p{number}"] = around(quantile)
        lengths = combined.at_engines(m.within(of, e.bounds(histogram), e.vllm))
        found[f"vLLM {name} length distribution", "{{le}}"] = cell(_served_by_vllm(lengths))
    return found


def _launchers() -> Table:
    capacity = "launcher_capacity"
    return {
        ("Uptime", "Uptime"): now(
            combined.lowest_of(combined.since(seen.latest("launcher_up_since_timestamp_seconds", "job", min)))
        ),
        ("Restarts (range)", "Restarts (range)"): Compared(seen.increase("launcher_start_attempts_total"), "range"),
        ("Engine state", "{{job}} {{vm}}"): cell(seen.launcher_state(STATES)),
        ("Startup phases", "{{phase}} {{job}} {{vm}}"): now(seen.latest("launcher_phase_seconds", "phase job vm")),
        ("Requests running and waiting", "max_num_seqs"): now(
            seen.highest(capacity, job="vllm-launcher", kind="max_num_seqs")
        ),
        ("Requests running and waiting", "slots"): now(seen.highest(capacity, job="llamacpp-launcher", kind="slots")),
        ("llama.cpp max sequence length", "slot {{vm}}"): around(
            seen.highest(capacity, "vm", job="llamacpp-launcher", kind="slot_context_tokens")
        ),
    }


def _throughput() -> Table:
    by_source = combined.split(
        "source", {"local_compute": _vllm(e.computed), "local_cache_hit": _vllm(e.cached)}
    )  # fmt: skip
    title = "Prompt and generated tokens by source"
    return {
        ("Output throughput (tok/s)", "vLLM"): recent(_served_by_vllm(_vllm(e.generated)), per_second=True, seconds=60),
        ("Output throughput (tok/s)", "llama.cpp"): recent(
            _served_by_llamacpp(_llamacpp(e.generated)), per_second=True, seconds=60
        ),
        (title, "vLLM {{source}}"): cell(_served_by_vllm(by_source), per_second=True),
        (title, "vLLM output"): cell(_served_by_vllm(_vllm(e.generated)), per_second=True),
        **{
            (title, f"llama.cpp {name}"): cell(_served_by_llamacpp(_llamacpp(of)), per_second=True)
            for name, of in (("computed", e.computed), ("cached", e.cached), ("output", e.generated))
        },
        ("Output throughput by model and server", "{{model_name}} {{instance}} {{vm}}"): cell(
            combined.each_vm(_served_by_vllm(_vllm(e.generated))), per_second=True
        ),
        ("Output throughput by model and server", "llama.cpp {{instance}} {{vm}}"): cell(
            combined.each_vm(_served_by_llamacpp(_llamacpp(e.generated))), per_second=True
        ),
    }


def _efficiency() -> Table:
    decode_speed = m.ratio(_vllm(e.intervals), _vllm(e.decode))
    without_probes = combined.minus(_llamacpp(e.generated), _probes(e.generated))
    hits = m.ratio(
        _llamacpp(e.cached),
        combined.minus(combined.plus(_llamacpp(e.computed), _llamacpp(e.cached)), _probes(e.prompted)),
    )
    speed = "Per-request decode speed"
    return {
        ("Tokens per engine step (batch size)", "vLLM"): cell(
            _served_by_vllm(m.ratio(_vllm(e.step_tokens), _vllm(e.steps)))
        ),
        ("Tokens per engine step (batch size)", "llama.cpp"): cell(
            _served_by_llamacpp(m.ratio(_llamacpp(e.generated), _llamacpp(e.steps)))
        ),
        (speed, "vLLM mean"): cell(combined.at_least(1e-9, decode_speed, decode_speed)),
        (speed, "vLLM slowest 5 %"): cell(combined.inverse(_served_by_vllm(_quantile(0.95, e.tpot, _TPOT)))),
        (speed, "llama.cpp mean"): cell(_served_by_llamacpp(m.ratio(without_probes, _llamacpp(e.decode)))),
        ("Decode speed by model and server", "{{model_name}} {{instance}} {{vm}}"): cell(
            combined.each_vm(combined.at_least(1e-9, decode_speed, decode_speed))
        ),
        ("Prefix cache hit rate", "vLLM"): cell(_served_by_vllm(m.ratio(_vllm(e.cached), _vllm(e.prompted)))),
        ("Prefix cache hit rate", "llama.cpp"): cell(_served_by_llamacpp(combined.at_most(1, hits))),
        ("llama.cpp prefill throughput", "prefill"): around(
            _served_by_llamacpp(m.ratio(_llamacpp(e.computed), _llamacpp(e.prefill)))
        ),
    }


def _reported() -> Table:
    waiting = "Requests running and waiting"
    by_reason = "vllm:num_requests_waiting_by_reason"
    finished = {
        reason: combined.at_engines(m.total(_ended_by(reason), e.finished)) for reason in ("stop", "length")
    }  # fmt: skip
    return {
        ("Running", "vLLM"): now(seen.latest("vllm:num_requests_running")),
        ("Running", "llama.cpp"): now(seen.latest("llamacpp:requests_processing")),
        ("Waiting", "vLLM"): now(seen.latest("vllm:num_requests_waiting")),
        ("Waiting", "llama.cpp"): now(seen.latest("llamacpp:requests_deferred")),
        (waiting, "vLLM running"): cell(seen.highest("vllm:num_requests_running")),
        (waiting, "vLLM waiting"): cell(seen.highest(by_reason, reason="capacity")),
        (waiting, "vLLM deferred"): cell(seen.highest(by_reason, reason="deferred")),
        (waiting, "llama.cpp running"): cell(seen.highest("llamacpp:requests_processing")),
        (waiting, "llama.cpp waiting"): cell(seen.highest("llamacpp:requests_deferred")),
        ("llama.cpp max sequence length", "{{instance}} {{vm}}"): around(
            seen.highest("llamacpp:n_tokens_max", _SERVER)
        ),
        ("vLLM KV cache usage", "{{instance}} {{vm}}"): cell(seen.highest("vllm:kv_cache_usage_perc", _SERVER)),
        ("vLLM preemptions", "{{instance}} {{vm}}"): cell(
            seen.increase("vllm:num_preemptions_total", _SERVER), per_second=True
        ),
        ("vLLM admission rejections", "{{reason}}"): cell(
            seen.increase("vllm:admission_rejections_total", "reason"), per_second=True
        ),
        ("vLLM LoRA adapters in use", "Age"): now(combined.since(seen.latest("vllm:lora_requests_info", _SERVER, max))),
        ("vLLM finish reasons", "{{finished_reason}}"): around(
            combined.split("finished_reason", finished), per_second=True
        ),
        ("vLLM server CPU usage", "{{instance}} {{vm}}"): around(
            seen.increase("process_cpu_seconds_total", _SERVER), per_second=True
        ),
        ("vLLM server memory usage", "{{instance}} {{vm}}"): now(seen.latest("process_resident_memory_bytes", _SERVER)),
        ("vLLM cache configuration", "Up"): now(
            seen.latest("vllm:cache_config_info", f"{_SERVER} num_gpu_blocks block_size cache_dtype", max)
        ),
    }


def _ended_by(reason: str) -> Callable[[Request], bool]:
    return lambda request: e.vllm(request) and e.finish_reason(request) == reason


ENGINE: Table = {
    ("TPOT p95 (range)", "TPOT p95 (range)"): over_range(m.quantile(0.95, a.tpot, "tpot")),
    ("Aborted and failed upstream requests", "{{result}}"): cell(
        m.total(lambda request: a.attempt(request) not in (None, "ok"), by="result"), per_second=True
    ),
    **_launchers(),
    **_reported(),
    **_throughput(),
    **_efficiency(),
    **_histogram("vLLM TTFT", e.ttft, _TTFT),
    **_histogram("Inter-token latency (ITL)", e.tpot, _ITL),
    **_histogram("vLLM E2E latency", e.e2e, _E2E),
    **_histogram("vLLM queue time", e.only_finished(e.queue), QUEUE),
    **_histogram("vLLM TPOT", e.tpot, _TPOT),
    **{
        ("vLLM mean time per phase", name): cell(_served_by_vllm(_mean(of)))
        for name, of in (
            ("queue", e.only_finished(e.queue)), ("prefill", e.only_finished(e.prefill)), ("decode", e.decode)
        )
    },
    **_lengths(),
    **_columns("vLLM by model", "model_name", "model_name"),
    **_columns("vLLM by server", "vm", _SERVER),
}  # fmt: skip
