"""How busy an engine is, read from its own /metrics: the one place where foreign metric names are known."""

import math

from gateway.engines.engine import Load

_RUNNING = ("vllm:num_requests_running", "llamacpp:requests_processing")
_WAITING = ("vllm:num_requests_waiting", "llamacpp:requests_deferred")
_KV_USE = ("vllm:kv_cache_usage_perc",)
# Counters that move whenever an engine gets on with its work, be it a long prompt or an answer that nobody streams.
_STEPS = (
    *("vllm:iteration_tokens_total_count", "vllm:prompt_tokens_total", "vllm:generation_tokens_total"),
    *("llamacpp:n_decode_total", "llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"),
)


def parse_load(exposition: bytes) -> tuple[Load, float | None]:
    """How busy an engine is and how far it has got, from a Prometheus exposition; sums over an engine's own replicas.

    Unknown or absent metrics count as 0; a value that is no number is passed over.

    Returns:
        Its load, and the sum of its step counters: a number that rises with its work; None where it has none.
    """
    running = waiting = 0.0
    kv_use: float | None = None
    steps: float | None = None
    for line in exposition.decode("utf-8", "replace").splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.rpartition(" ")
        name = name.partition("{")[0]
        if name not in _WANTED:
            continue
        try:
            number = float(value)
        except ValueError:
            continue
        if not math.isfinite(number):
            continue
        if name in _RUNNING:
            running += number
        elif name in _WAITING:
            waiting += number
        elif name in _STEPS:
            steps = (steps or 0.0) + number
        else:
            kv_use = max(kv_use or 0.0, number)
    return Load(round(running), round(waiting), kv_use), steps


_WANTED = frozenset((*_RUNNING, *_WAITING, *_KV_USE, *_STEPS))
