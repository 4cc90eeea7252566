"""An engine's load, read from its own /metrics. The only module that knows the engines' metric names."""

import math
from typing import NamedTuple

_RUNNING = ("vllm:num_requests_running", "llamacpp:requests_processing")
_WAITING = ("vllm:num_requests_waiting", "llamacpp:requests_deferred")
_KV_USE = ("vllm:kv_cache_usage_perc",)
# Counters that rise whenever an engine makes progress, even on a long prompt or a response that is not streamed.
_PROGRESS = (
    *("vllm:iteration_tokens_total_count", "vllm:prompt_tokens_total", "vllm:generation_tokens_total"),
    *("llamacpp:n_decode_total", "llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"),
)


class Load(NamedTuple):
    """How busy an engine reports itself to be.

    Attributes:
        running: Requests that it is working on.
        waiting: Requests in its queue.
        kv_use: Share of the KV cache in use, 0 to 1; None where the engine does not report it.
    """

    running: int = 0
    waiting: int = 0
    kv_use: float | None = None


def parse_load(exposition: bytes) -> tuple[Load, float | None]:
    """Reads load and progress from an engine's Prometheus exposition, summed over its replicas.

    Absent metrics count as zero; a value that is not a finite number is ignored.

    Returns:
        The load, and the sum of the progress counters, which rises as the engine works; None where it has none.
    """
    running = waiting = 0.0
    kv_use: float | None = None
    progress: float | None = None
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
        elif name in _PROGRESS:
            progress = (progress or 0.0) + number
        else:
            kv_use = max(kv_use or 0.0, number)
    return Load(round(running), round(waiting), kv_use), progress


_WANTED = frozenset((*_RUNNING, *_WAITING, *_KV_USE, *_PROGRESS))
