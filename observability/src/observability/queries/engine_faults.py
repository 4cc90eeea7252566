"""What an engine does when it is ill; for each engine process, of vLLM or llama.cpp alike.

One that hangs altogether does not answer Prometheus either, and is down. vLLM's server, however, goes on answering when
its engine, which is another process, does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from observability.promql import Scope, share, total

_PROCESS = ("job", "instance", "engine")  # vLLM counts its engine processes; llama.cpp has one and no such label


@dataclass(frozen=True, slots=True)
class _Names:
    """An engine's own words."""

    job: str
    running: str
    waiting: str
    steps: str
    tokens: str


_ENGINES = (
    _Names(
        "vllm",
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:iteration_tokens_total_count",
        "vllm:generation_tokens_total",
    ),
    _Names(
        "llamacpp",
        "llamacpp:requests_processing",
        "llamacpp:requests_deferred",
        "llamacpp:n_decode_total",
        "llamacpp:tokens_predicted_total",
    ),
)


def waiting(scope: Scope) -> str:
    """Requests that an engine has accepted and not begun."""
    return _either(total(scope.series(names.waiting, names.job), *_PROCESS) for names in _ENGINES)


def stalled(scope: Scope) -> str:
    """Requests in the batch of an engine that has had some all through the window, and has not made one step."""
    return _either(
        f"{_lowest(scope, names.running, names.job)} > 0 and on ({', '.join(_PROCESS)}) "
        f"{total(_increase(scope, names.steps, names.job), *_PROCESS)} == 0"
        for names in _ENGINES
    )


def collapsed(scope: Scope, best_of: str) -> str:
    """Output tokens per second of an engine that has let requests wait all through the window: as a share of its best.

    Args:
        scope: what to look at.
        best_of: the subquery in which the best window is looked for, such as 6h:5m.
    """
    return _either(_collapsed(scope, names, best_of) for names in _ENGINES)


def _collapsed(scope: Scope, names: _Names, best_of: str) -> str:
    speed = total(scope.rate(scope.series(names.tokens, names.job)), *_PROCESS)
    processes = ", ".join(_PROCESS)
    best = f"max by ({processes}) (max_over_time({speed}[{best_of}]))"
    return f"{share(speed, best)} and on ({processes}) {_lowest(scope, names.waiting, names.job)} > 0"


def preemptions(scope: Scope) -> str:
    """How often in the window vLLM took a request out of its batch, to compute it again, for want of KV cache."""
    return total(_increase(scope, "vllm:num_preemptions_total", "vllm"), *_PROCESS)


def _lowest(scope: Scope, name: str, job: str) -> str:
    return f"min by ({', '.join(_PROCESS)}) (min_over_time({scope.series(name, job)}[{scope.window}]))"


def _increase(scope: Scope, name: str, job: str) -> str:
    return f"increase({scope.series(name, job)}[{scope.window}])"


def _either(expressions: Iterable[str]) -> str:
    return " or ".join(expressions)
