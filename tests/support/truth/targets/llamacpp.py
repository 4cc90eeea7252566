"""What the llama.cpp server exposes."""

from collections.abc import Iterable, Sequence

from tests.support.truth import engine_amounts as e
from tests.support.truth import traffic
from tests.support.truth.amounts import Amount
from tests.support.truth.samples import Changes
from tests.support.truth.targets import waiting
from tests.support.truth.targets.counters import Target, restarts

_TARGET = f'job="llamacpp",instance="llamacpp:8080",vm="{traffic.LOCAL}"'
_COUNTERS: dict[str, Amount] = {
    "tokens_predicted_total": e.generated, "prompt_tokens_total": e.computed, "prompt_tokens_cached_total": e.cached,
    "prompt_seconds_total": e.prefill, "tokens_predicted_seconds_total": e.decode, "n_decode_total": e.steps,
}  # fmt: skip
SLOTS, SLOT_TOKENS = 2, 4096


def scrapes(at_engines: Iterable[traffic.Request], times: Sequence[int]) -> Changes:
    """The samples of its series, only where they change."""
    away = restarts("cpu-1", traffic.LOCAL)
    server = Target(_TARGET, times, away)
    for name in _COUNTERS:
        server.declare(f"llamacpp:{name}")
    requests = [each for each in at_engines if e.llamacpp(each)]
    starts = [times[0], *(each.end for each in away if each.start > times[0])]
    longest = [(at, 0) for at in starts]
    for request in requests:
        for name, of in _COUNTERS.items():
            server.add(request.ended, f"llamacpp:{name}", of(request) or 0)
        longest.append((request.ended, int(e.prompted(request) + e.generated(request))))
    _longest(server, sorted(longest), starts)
    for at, running, deferred in waiting.moves(requests, times, SLOTS, starts):
        server.set(at, "llamacpp:requests_processing", running)
        server.set(at, "llamacpp:requests_deferred", deferred)
    return server.changes(_TARGET)


def _longest(server: Target, lengths: Iterable[tuple[float, int]], starts: Sequence[float]) -> None:
    """The longest sequence since the start."""
    longest = 0
    for at, length in lengths:
        longest = 0 if at in starts else max(longest, length)
        server.set(at, "llamacpp:n_tokens_max", longest)
