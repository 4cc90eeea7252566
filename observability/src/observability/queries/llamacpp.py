"""What llama.cpp's server reports: counters and gauges, no histograms; one model per server, without a label for it.

Its own averages (`prompt_tokens_seconds`, `n_busy_slots_per_decode`) cover its whole uptime; rates of its counters are
used instead. It counts the gateway's one-token probes like any request, and has no count of requests: the gateway's own
count of its probes (`gateway_engine_probe_tokens_total`) is subtracted. That one is by engine as ENGINES names it, and
Prometheus knows servers, so all llama.cpp servers of a VM are taken together.
"""

from observability import downsampling
from observability.promql import Scope, share, total
from observability.queries.gateway import JOB as GATEWAY_JOB

JOB = "llamacpp"
_KIND = "llama_cpp"  # as the gateway calls it
# Counters that Prometheus records by server (`recording.llamacpp`). They are read where the scope has an interval
# between two points; by each scrape otherwise.
RECORDED = (
    *("prompt_tokens_total", "prompt_tokens_cached_total", "prompt_seconds_total"),
    *("tokens_predicted_total", "tokens_predicted_seconds_total", "n_decode_total"),
)
# Tokens of the gateway's probes by kind, input or output, recorded wherever a server of llama.cpp is.
PROBE_TOKENS = {kind: f"vm:llamacpp_probe_{kind}_tokens:increase1m" for kind in ("input", "output")}
LONGEST_SEQUENCE = "server:llamacpp_n_tokens_max:max1m"
STEP_SECONDS = 60
_LABELS = {"instance": "instance", "vm": "vm"}
_COUNTERS = {
    "output": ("tokens_predicted_total",),
    "input": ("prompt_tokens_total", "prompt_tokens_cached_total"),
}
# More tokens than this in the window are users': the gateway and the engine are not scraped at the same moment, so one
# may already count a probe that the other does not, and `increase` adds up to a third to it.
_PROBE_TOLERANCE_TOKENS = 3


def recorded(counter: str) -> str:
    """The series of what a counter of RECORDED gained in each minute."""
    return f"server:llamacpp_{counter.removesuffix('_total')}:increase1m"


def series(scope: Scope, name: str) -> str:
    """A selector of one of its metrics."""
    return scope.series(f"llamacpp:{name}", JOB, **_LABELS)


def probe_tokens(scope: Scope, kind: str) -> str:
    """Counters of the tokens of the gateway's probes of llama.cpp; kind is input or output."""
    return scope.series("gateway_engine_probe_tokens_total", GATEWAY_JOB, f'type="{kind}"', vm="vm")


def gateway_engines(scope: Scope) -> str:
    """The engines of the gateway that are servers of llama.cpp, by which its probes of them are known."""
    return scope.series("gateway_engine_model", GATEWAY_JOB, f'kind="{_KIND}"', vm="vm")


def of_users(scope: Scope, expression: str, *by: str) -> str:
    """The expression where there was more traffic in the window than the gateway's probes of an idle engine.

    Args:
        scope: the window.
        expression: what is shown, with the labels `by`.
        by: labels of the result, `vm` among them; none for one result.
    """
    on = ("vm",) if by else ()
    outputs, inputs = (_gained_beyond_probes(scope, kind, on) for kind in ("output", "input"))
    users = f"{outputs} > {_PROBE_TOLERANCE_TOKENS} or {inputs} > {_PROBE_TOLERANCE_TOKENS}"
    return f"({expression}) and on ({', '.join(on)}) ({users})"


def running(scope: Scope, *by: str) -> str:
    """Requests in a slot; over time, the sum of each server's peak."""
    return total(scope.highest(series(scope, "requests_processing")), *by)


def waiting(scope: Scope, *by: str) -> str:
    """Requests that wait for a slot; over time, the sum of each server's peak."""
    return total(scope.highest(series(scope, "requests_deferred")), *by)


def generated(scope: Scope, *by: str) -> str:
    """Generated tokens per second."""
    return _rate(scope, "tokens_predicted_total", *by)


def prompt_tokens(scope: Scope) -> str:
    """Prompt tokens computed per second."""
    return _rate(scope, "prompt_tokens_total")


def cached_prompt_tokens(scope: Scope) -> str:
    """Prompt tokens per second reused from an earlier request."""
    return _rate(scope, "prompt_tokens_cached_total")


def prefix_cache_hit_ratio(scope: Scope) -> str:
    """The share of users' prompt tokens that was reused from an earlier request."""
    prompts = _rate_beyond_probes(scope, "input")
    # The difference of two counters that are scraped apart may be a little less than what is cached.
    return of_users(scope, f"clamp_max({share(cached_prompt_tokens(scope), f'({prompts})')}, 1)")


def generation_speed(scope: Scope) -> str:
    """Tokens per second of generation time: the speed of one response."""
    tokens = _rate_beyond_probes(scope, "output")
    return of_users(scope, share(f"({tokens} > 0)", _rate(scope, "tokens_predicted_seconds_total")))


def prompt_speed(scope: Scope) -> str:
    """Prompt tokens per second of prompt processing time."""
    return of_users(scope, share(prompt_tokens(scope), _rate(scope, "prompt_seconds_total")))


def tokens_per_step(scope: Scope) -> str:
    """Tokens generated per decode step: how many requests share one."""
    return of_users(scope, share(generated(scope), _rate(scope, "n_decode_total")))


def longest_sequence(scope: Scope) -> str:
    """Tokens of the longest sequence so far, prompt and response together."""
    highest = scope.highest(series(scope, "n_tokens_max"))
    return downsampling.gauge(scope, LONGEST_SEQUENCE, "max by (instance, vm)", highest, **_LABELS)


def _rate_beyond_probes(scope: Scope, kind: str) -> str:
    """What counters gained a second beyond the tokens of the gateway's probes; kind is input or output."""
    sums = " + ".join(_rate(scope, counter) for counter in _COUNTERS[kind])
    if scope.interval:
        return f"{sums} - {downsampling.per_second(scope, PROBE_TOKENS[kind], vm='vm')}"
    return _without(sums, _of_llamacpp(scope, scope.rate(probe_tokens(scope, kind))))


def _gained_beyond_probes(scope: Scope, kind: str, by: tuple[str, ...]) -> str:
    """What counters gained in the window beyond the tokens of the gateway's probes; kind is input or output."""
    sums = " + ".join(
        downsampling.gained(scope, recorded(counter), series(scope, counter), *by, **_LABELS)
        for counter in _COUNTERS[kind]
    )
    if scope.interval:
        return f"{sums} - {downsampling.count(scope, PROBE_TOKENS[kind], by=by, vm='vm')}"
    return _without(sums, _of_llamacpp(scope, scope.increase(probe_tokens(scope, kind)), *by))


def _of_llamacpp(scope: Scope, probes: str, *by: str) -> str:
    return total(f"{probes} and on (vm, engine) {gateway_engines(scope)}", *by)


def _without(sums: str, probed: str) -> str:
    """Also where no gateway probes the engine."""
    return f"{sums} - ({probed} or 0 * ({sums}))"


def _rate(scope: Scope, counter: str, *by: str) -> str:
    return downsampling.rate(scope, recorded(counter), series(scope, counter), *by, **_LABELS)
