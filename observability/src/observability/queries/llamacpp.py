"""What llama.cpp's server reports: counters and gauges, no histograms; one model per server, without a label for it.

Its own averages (`prompt_tokens_seconds`, `n_busy_slots_per_decode`) cover its whole uptime; rates of its counters are
used instead. It counts the gateway's one-token probes like any request, and has no count of requests: the gateway's own
count of its probes (`gateway_engine_probe_tokens_total`) is subtracted. That one is by engine as ENGINES names it, and
Prometheus knows servers, so all llama.cpp servers of a VM are taken together.
"""

from collections.abc import Callable

from observability.promql import Scope, share, total
from observability.queries.gateway import JOB as GATEWAY_JOB

JOB = "llamacpp"
_KIND = "llama_cpp"  # as the gateway calls it
# More tokens than this in the window are users': the gateway and the engine are not scraped at the same moment, so one
# may already count a probe that the other does not, and `increase` adds up to a third to it.
_PROBE_TOLERANCE_TOKENS = 3


def series(scope: Scope, name: str) -> str:
    """A selector of one of its metrics."""
    return scope.series(f"llamacpp:{name}", JOB, instance="instance", vm="vm")


def of_users(scope: Scope, expression: str, *by: str) -> str:
    """The expression where there was more traffic in the window than the gateway's probes of an idle engine.

    Args:
        scope: the window.
        expression: what is shown, with the labels `by`.
        by: labels of the result, `vm` among them; none for one result.
    """
    on = ("vm",) if by else ()
    outputs = _beyond_probes(scope, "output", scope.increase, on, "tokens_predicted_total")
    inputs = _beyond_probes(scope, "input", scope.increase, on, "prompt_tokens_total", "prompt_tokens_cached_total")
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
    prompts = _beyond_probes(scope, "input", scope.rate, (), "prompt_tokens_total", "prompt_tokens_cached_total")
    # The difference of two counters that are scraped apart may be a little less than what is cached.
    return of_users(scope, f"clamp_max({share(cached_prompt_tokens(scope), f'({prompts})')}, 1)")


def generation_speed(scope: Scope) -> str:
    """Tokens per second of generation time: the speed of one response."""
    tokens = _beyond_probes(scope, "output", scope.rate, (), "tokens_predicted_total")
    return of_users(scope, share(f"({tokens} > 0)", _rate(scope, "tokens_predicted_seconds_total")))


def prompt_speed(scope: Scope) -> str:
    """Prompt tokens per second of prompt processing time."""
    return of_users(scope, share(prompt_tokens(scope), _rate(scope, "prompt_seconds_total")))


def tokens_per_step(scope: Scope) -> str:
    """Tokens generated per decode step: how many requests share one."""
    return of_users(scope, share(generated(scope), _rate(scope, "n_decode_total")))


def longest_sequence(scope: Scope) -> str:
    """Tokens of the longest sequence so far, prompt and response together."""
    return f"max by (instance, vm) ({scope.highest(series(scope, 'n_tokens_max'))})"


def _beyond_probes(scope: Scope, kind: str, change: Callable[[str], str], by: tuple[str, ...], *counters: str) -> str:
    """What counters gained beyond the tokens of the gateway's probes; kind is input or output."""
    sums = " + ".join(total(change(series(scope, counter)), *by) for counter in counters)
    probes = change(scope.series("gateway_engine_probe_tokens_total", GATEWAY_JOB, f'type="{kind}"', vm="vm"))
    engines = scope.series("gateway_engine_model", GATEWAY_JOB, f'kind="{_KIND}"', vm="vm")
    probed = total(f"{probes} and on (vm, engine) {engines}", *by)
    return f"{sums} - ({probed} or 0 * ({sums}))"


def _rate(scope: Scope, counter: str, *by: str) -> str:
    return total(scope.rate(series(scope, counter)), *by)
