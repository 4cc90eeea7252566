"""How busy an engine is, read from its own /metrics: the one place where foreign metric names are known."""

import math

from gateway.engines.engine import Load

_RUNNING = ("vllm:num_requests_running", "llamacpp:requests_processing")
_WAITING = ("vllm:num_requests_waiting", "llamacpp:requests_deferred")
_KV_USE = ("vllm:kv_cache_usage_perc",)


def parse_load(exposition: bytes) -> Load:
    """Running, waiting and KV-cache use from a Prometheus exposition; sums over an engine's own replicas.

    Unknown or absent metrics count as 0; a value that is no number is passed over.
    """
    running = waiting = 0.0
    kv_use: float | None = None
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
        else:
            kv_use = max(kv_use or 0.0, number)
    return Load(round(running), round(waiting), kv_use)


_WANTED = frozenset((*_RUNNING, *_WAITING, *_KV_USE))
