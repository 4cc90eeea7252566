"""Dollars: of engines' time by what paid for it, of models and of keys. An engine has a price if it was given one."""

from observability.promql import Scope, share, total
from observability.queries import gateway, llamacpp, vllm

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


def written_by_engines(scope: Scope) -> str:
    """Tokens that the engines wrote in the window, by their own counters."""
    return _of_all(_written(scope))


def counted_by_gateway(scope: Scope) -> str:
    """Output tokens that the gateway counted in the window."""
    return _of_all(_counted(scope))


def unread(scope: Scope) -> str:
    """Events of streams that nobody got to the end of."""
    return _of_all(_wasted(scope))


def drift(scope: Scope) -> str:
    """Of the tokens that the engines wrote those that the gateway knows nothing of."""
    return _of_all(f"1 - {share(f'({_counted(scope)} + {_wasted(scope)})', _written(scope))}")


def _written(scope: Scope) -> str:
    own = (("vllm:generation_tokens_total", vllm.JOB), ("llamacpp:tokens_predicted_total", llamacpp.JOB))
    sums = (total(f"increase({scope.series(name, job, vm='vm')}[{scope.window}])") for name, job in own)
    return f"({' + '.join(f'({each} or vector(0))' for each in sums)})"


def _counted(scope: Scope) -> str:
    ours = scope.series("gateway_tokens_total", gateway.JOB, 'type="output"', vm="vm")
    return total(f"increase({ours}[{scope.window}])")


def _wasted(scope: Scope) -> str:
    return total(f"increase({scope.series('gateway_wasted_tokens_total', gateway.JOB, vm='vm')}[{scope.window}])")


def _of_all(number: str) -> str:
    """A number for a row of a table, which needs a name."""
    return f'label_replace({number}, "of", "all engines", "", "")'
