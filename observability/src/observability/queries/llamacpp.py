"""What llama.cpp's server reports: counters and gauges, no histograms; one model per server, without a label for it.

Its own averages (`prompt_tokens_seconds`, `n_busy_slots_per_decode`) cover its whole uptime; rates of its counters are
used instead.
"""

from observability.promql import Scope, share, total

JOB = "llamacpp"


def series(scope: Scope, name: str) -> str:
    """A selector of one of its metrics."""
    return scope.series(f"llamacpp:{name}", JOB, instance="instance", vm="vm")


def running(scope: Scope) -> str:
    """Requests in a slot."""
    return total(series(scope, "requests_processing"))


def waiting(scope: Scope) -> str:
    """Requests that wait for a slot."""
    return total(series(scope, "requests_deferred"))


def generated(scope: Scope) -> str:
    """Generated tokens per second."""
    return _rate(scope, "tokens_predicted_total")


def prompt_tokens(scope: Scope) -> str:
    """Prompt tokens computed per second."""
    return _rate(scope, "prompt_tokens_total")


def cached_prompt_tokens(scope: Scope) -> str:
    """Prompt tokens per second reused from an earlier request."""
    return _rate(scope, "prompt_tokens_cached_total")


def prefix_cache_hit_ratio(scope: Scope) -> str:
    """The share of prompt tokens reused from an earlier request."""
    cached, computed = cached_prompt_tokens(scope), prompt_tokens(scope)
    return share(cached, f"({cached} + {computed})")


def generation_speed(scope: Scope) -> str:
    """Tokens per second of generation time: the speed of one response."""
    return share(generated(scope), _rate(scope, "tokens_predicted_seconds_total"))


def prompt_speed(scope: Scope) -> str:
    """Prompt tokens per second of prompt processing time."""
    return share(prompt_tokens(scope), _rate(scope, "prompt_seconds_total"))


def tokens_per_step(scope: Scope) -> str:
    """Tokens generated per decode step: how many requests share one."""
    return share(generated(scope), _rate(scope, "n_decode_total"))


def longest_sequence(scope: Scope) -> str:
    """Tokens of the longest sequence so far, prompt and response together."""
    return f"max by (instance, vm) ({series(scope, 'n_tokens_max')})"


def _rate(scope: Scope, counter: str) -> str:
    return total(scope.rate(series(scope, counter)))
