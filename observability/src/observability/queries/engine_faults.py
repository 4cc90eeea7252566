"""Symptoms of a faulty engine, for each engine process of vLLM and llama.cpp alike.

An engine that hangs altogether does not answer Prometheus either, and counts as down. vLLM's HTTP server, however,
keeps answering when the engine, which is another process, does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from observability.promql import Scope, share, total

_PROCESS = ("vm", "job", "instance", "engine")  # vLLM numbers its engine processes; llama.cpp has one and no such label


@dataclass(frozen=True, slots=True)
class _Metrics:
    """An engine's names of the same metrics."""

    job: str
    running: str
    waiting: str
    steps: str
    tokens: str


_ENGINES = (
    _Metrics(
        "vllm",
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:iteration_tokens_total_count",
        "vllm:generation_tokens_total",
    ),
    _Metrics(
        "llamacpp",
        "llamacpp:requests_processing",
        "llamacpp:requests_deferred",
        "llamacpp:n_decode_total",
        "llamacpp:tokens_predicted_total",
    ),
)


def waiting(scope: Scope) -> str:
    """Requests that an engine has accepted and not started."""
    return _any_engine(total(scope.series(metrics.waiting, metrics.job), *_PROCESS) for metrics in _ENGINES)


def stalled(scope: Scope) -> str:
    """Running requests of an engine that had some throughout the window and did not complete a single step."""
    return _any_engine(
        f"{_minimum(scope, metrics.running, metrics.job)} > 0 and on ({', '.join(_PROCESS)}) "
        f"{total(_increase(scope, metrics.steps, metrics.job), *_PROCESS)} == 0"
        for metrics in _ENGINES
    )


def degraded_throughput(scope: Scope, best_of: str) -> str:
    """Output tokens per second of an engine with waiting requests throughout the window, as a share of its best.

    Args:
        scope: the window.
        best_of: the subquery in which the best window is searched, such as 6h:5m.
    """
    return _any_engine(_degraded_throughput(scope, metrics, best_of) for metrics in _ENGINES)


def preemptions(scope: Scope) -> str:
    """Preemptions of vLLM in the window: a request left the batch for lack of KV cache and is recomputed."""
    return total(_increase(scope, "vllm:num_preemptions_total", "vllm"), *_PROCESS)


def _degraded_throughput(scope: Scope, metrics: _Metrics, best_of: str) -> str:
    throughput = total(scope.rate(scope.series(metrics.tokens, metrics.job)), *_PROCESS)
    processes = ", ".join(_PROCESS)
    best = f"max by ({processes}) (max_over_time({throughput}[{best_of}]))"
    return f"{share(throughput, best)} and on ({processes}) {_minimum(scope, metrics.waiting, metrics.job)} > 0"


def _minimum(scope: Scope, name: str, job: str) -> str:
    return f"min by ({', '.join(_PROCESS)}) (min_over_time({scope.series(name, job)}[{scope.window}]))"


def _increase(scope: Scope, name: str, job: str) -> str:
    return f"increase({scope.series(name, job)}[{scope.window}])"


def _any_engine(expressions: Iterable[str]) -> str:
    return " or ".join(expressions)
