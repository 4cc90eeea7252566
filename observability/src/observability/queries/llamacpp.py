"""What llama.cpp's server says of itself: counters and gauges, no histograms, one model a server and no label for it.

Its own averages (`prompt_tokens_seconds`, `n_busy_slots_per_decode`) are of its whole life; its counters tell of now.
"""

from observability.promql import Scope, share, total

JOB = "llamacpp"


def series(scope: Scope, name: str) -> str:
    """A selector of one of its metrics."""
    return scope.series(f"llamacpp:{name}", JOB, instance="instance", vm="vm")


def running(scope: Scope) -> str:
    """Requests in slots."""
    return total(series(scope, "requests_processing"))


def waiting(scope: Scope) -> str:
    """Requests that wait for a slot."""
    return total(series(scope, "requests_deferred"))


def generated(scope: Scope) -> str:
    """Tokens produced per second."""
    return _rate(scope, "tokens_predicted_total")


def prompt_tokens(scope: Scope) -> str:
    """Prompt tokens computed per second."""
    return _rate(scope, "prompt_tokens_total")


def cached_prompt_tokens(scope: Scope) -> str:
    """Prompt tokens per second that were there from an earlier request."""
    return _rate(scope, "prompt_tokens_cached_total")


def prefix_hits(scope: Scope) -> str:
    """The share of prompt tokens that were there from an earlier request."""
    cached, computed = cached_prompt_tokens(scope), prompt_tokens(scope)
    return share(cached, f"({cached} + {computed})")


def generation_speed(scope: Scope) -> str:
    """Tokens per second of generating: of one answer, while it is made."""
    return share(generated(scope), _rate(scope, "tokens_predicted_seconds_total"))


def prompt_speed(scope: Scope) -> str:
    """Prompt tokens per second of reading them."""
    return share(prompt_tokens(scope), _rate(scope, "prompt_seconds_total"))


def tokens_per_step(scope: Scope) -> str:
    """Tokens generated in one pass of the model: how many requests share one."""
    return share(generated(scope), _rate(scope, "n_decode_total"))


def longest(scope: Scope) -> str:
    """Tokens of the longest sequence so far, prompt and answer together."""
    return f"max by (instance, vm) ({series(scope, 'n_tokens_max')})"


def _rate(scope: Scope, counter: str) -> str:
    return total(scope.rate(series(scope, counter)))
