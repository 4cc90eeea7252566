"""Dollars: of engines' time by what paid for it, of models and of keys. An engine has a price if it was given one."""

from observability.promql import Scope, share, total
from observability.queries import gateway, vllm

PARTS = ("requests", "idle", "lost")
_HOUR, _THOUSAND, _MILLION = 3600, 1_000, 1_000_000


def _of_engines(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", gateway.JOB, *matchers, engine="engine", vm="vm")


def _of_models(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", gateway.JOB, *matchers, model="model", vm="vm")


def _of_keys(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", gateway.JOB, *matchers, key="key", vm="vm")


def hourly_price(scope: Scope) -> str:
    """What an hour of all engines costs."""
    return total(_of_engines(scope, "hourly_price_usd"))


def spent(scope: Scope) -> str:
    """Dollars in the window."""
    return total(f"increase({_of_engines(scope, 'cost_usd_total')}[{scope.window}])")


def spent_on(scope: Scope, part: str) -> str:
    """Dollars in the window that went to a part: requests, idle or lost."""
    matcher = f'part="{part}"'
    return total(f"increase({_of_engines(scope, 'cost_usd_total', matcher)}[{scope.window}])")


def share_of(scope: Scope, part: str) -> str:
    """Of all dollars those that went to a part."""
    matcher = f'part="{part}"'
    of_part = total(scope.rate(_of_engines(scope, "cost_usd_total", matcher)))
    return share(of_part, total(scope.rate(_of_engines(scope, "cost_usd_total"))))


def by(scope: Scope, label: str) -> str:
    """Dollars an hour by part or engine."""
    return f"{total(scope.rate(_of_engines(scope, 'cost_usd_total')), label)} * {_HOUR}"


def by_model(scope: Scope) -> str:
    """Dollars an hour of each model's requests."""
    return f"{total(scope.rate(_of_models(scope, 'model_cost_usd_total')), 'model')} * {_HOUR}"


def by_key(scope: Scope) -> str:
    """Dollars an hour of each key's requests."""
    return f"{total(scope.rate(_of_keys(scope, 'key_cost_usd_total')), 'key')} * {_HOUR}"


def of_key(scope: Scope) -> str:
    """Dollars of each key in the window."""
    return total(f"increase({_of_keys(scope, 'key_cost_usd_total')}[{scope.window}])", "key")


def key_requests(scope: Scope) -> str:
    """Requests of each key in the window."""
    return total(f"increase({_of_keys(scope, 'key_requests_total')}[{scope.window}])", "key")


def key_tokens(scope: Scope, kind: str) -> str:
    """Tokens of each key in the window; kind is input or output."""
    matcher = f'type="{kind}"'
    return total(f"increase({_of_keys(scope, 'key_tokens_total', matcher)}[{scope.window}])", "key")


def key_token_rate(scope: Scope) -> str:
    """Tokens per second of each key, input and output."""
    return total(scope.rate(_of_keys(scope, "key_tokens_total")), "key")


def of_a_million(scope: Scope, *labels: str) -> str:
    """Dollars that requests paid for a million output-equivalent tokens."""
    dollars = total(scope.rate(_of_models(scope, "model_cost_usd_total")), *labels)
    return f"{share(dollars, _equivalent(scope, *labels))} * {_MILLION}"


def of_a_million_all_in(scope: Scope) -> str:
    """Dollars for a million output-equivalent tokens, with what was idle or lost."""
    dollars = total(scope.rate(_of_engines(scope, "cost_usd_total")))
    return f"{share(dollars, _equivalent(scope))} * {_MILLION}"


def of_a_thousand_requests(scope: Scope) -> str:
    """Dollars of a thousand finished requests, by model."""
    dollars = total(scope.rate(_of_models(scope, "model_cost_usd_total")), "model")
    return f"{share(dollars, total(scope.rate(gateway.requests(scope)), 'model'))} * {_THOUSAND}"


def accounted_for(scope: Scope) -> str:
    """Dollars counted, of the price of the time that has passed: 1 but for what runs right now."""
    counted = f"{total(scope.rate(_of_engines(scope, 'cost_usd_total')))} * {_HOUR}"
    return share(f"({counted})", hourly_price(scope))


def _equivalent(scope: Scope, *labels: str) -> str:
    return total(scope.rate(_of_models(scope, "output_equivalent_tokens_total")), *labels)


def written_by_vllm(scope: Scope) -> str:
    """Tokens that vLLM wrote in the window, by model."""
    own = total(f"increase({vllm.series(scope, 'generation_tokens_total')}[{scope.window}])", "model_name")
    return f'sum by (model) (label_replace({own}, "model", "$1", "model_name", "(.+)"))'


def counted_by_gateway(scope: Scope) -> str:
    """Output tokens that the gateway counted in the window, by model; of models that vLLM serves."""
    matcher = 'type="output"'
    ours = total(f"increase({_of_models(scope, 'tokens_total', matcher)}[{scope.window}])", "model")
    return f"{ours} and on (model) {written_by_vllm(scope)}"


def unread(scope: Scope) -> str:
    """Events of streams that nobody got to the end of, by model; of models that vLLM serves."""
    ours = total(f"increase({_of_models(scope, 'wasted_tokens_total')}[{scope.window}])", "model")
    return f"{ours} and on (model) {written_by_vllm(scope)}"


def drift(scope: Scope) -> str:
    """Of the tokens that vLLM wrote those that the gateway knows nothing of, by model."""
    matcher = 'type="output"'
    ours = total(f"increase({_of_models(scope, 'tokens_total', matcher)}[{scope.window}])", "model")
    wasted = total(f"increase({_of_models(scope, 'wasted_tokens_total')}[{scope.window}])", "model")
    return f"1 - {share(f'({ours} + {wasted})', written_by_vllm(scope))}"
