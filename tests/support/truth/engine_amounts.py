"""What an engine counts of a request, in seconds and tokens.

The engine is a little faster than what the client sees of it, and how long a request waits, is read and is written is a
known part of that. Of a stream that is broken off it counts the tokens so far, and its prompt.
"""

import functools
import re
from collections.abc import Callable

from tests.support.program import ROOT
from tests.support.truth.amounts import Amount, Filter
from tests.support.truth.engine_traffic import PROBE
from tests.support.truth.traffic import Request

_SCRAPE = ROOT / "tests" / "unit" / "observability" / "golden" / "vllm-0.32.0.metrics"
# Of a stream without usage.
_ABORTED_PROMPT = 40
_LONG = 200


@functools.cache
def bounds(histogram: str) -> tuple[float, ...]:
    """The bounds of a histogram of vLLM, as in the recorded scrape."""
    found = re.findall(rf'vllm:{histogram}_bucket{{[^}}]*le="([\d.]+)"', _SCRAPE.read_text("utf-8"))
    return tuple(float(bound) for bound in found)


def on(kind: str) -> Filter:
    """What engines of a kind worked for."""
    return lambda request: request.engine is not None and request.engine.kind == kind


vllm, llamacpp = on("vllm"), on("llama_cpp")


def of_clients(request: Request) -> bool:
    return request.route != PROBE


def finished(request: Request) -> float | None:
    return 1 if request.tokens else None


def generated(request: Request) -> float:
    return request.tokens[1] if request.tokens else request.events


def prompted(request: Request) -> float:
    """All tokens of a prompt; of a broken off one, what vLLM computed of it."""
    return request.tokens[0] if request.tokens else _ABORTED_PROMPT if vllm(request) else 0


def cached(request: Request) -> float:
    return request.tokens[2] if request.tokens else 0


def computed(request: Request) -> float:
    return prompted(request) - cached(request)


def ttft(request: Request) -> float:
    return 0.9 * (request.ttft or request.duration / 10)


def queue(request: Request) -> float:
    return ttft(request) / 4


def prefill(request: Request) -> float:
    return ttft(request) - queue(request)


def e2e(request: Request) -> float | None:
    return 0.95 * request.duration if request.tokens else None


def decode(request: Request) -> float | None:
    return (e2e(request) or 0) - ttft(request) if request.tokens else None


def tpot(request: Request) -> float | None:
    """None for a single token."""
    if request.tokens is None or request.tokens[1] <= 1:
        return None
    return (decode(request) or 0) / (request.tokens[1] - 1)


def intervals(request: Request) -> int:
    """Between the tokens of a response, all of the same length."""
    return request.tokens[1] - 1 if request.tokens else 0


def all_intervals(request: Request) -> float | None:
    """The sum of them, in seconds."""
    return decode(request) if tpot(request) is not None else None


def steps(request: Request) -> float | None:
    """Steps of the engine, and the tokens of them all: one token in each, and the prompt."""
    return request.tokens[1] if request.tokens else None


def step_tokens(request: Request) -> float | None:
    return request.tokens[0] + request.tokens[1] if request.tokens else None


def input_length(request: Request) -> float | None:
    return request.tokens[0] if request.tokens else None


def output_length(request: Request) -> float | None:
    return request.tokens[1] if request.tokens else None


def finish_reason(request: Request) -> str:
    return "length" if request.tokens and request.tokens[1] >= _LONG else "stop"


def only_finished(of: Callable[[Request], float]) -> Amount:
    """The amount of requests that were not broken off."""
    return lambda request: of(request) if request.tokens else None
