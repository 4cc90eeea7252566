"""Cost in dollars: of engine time by what it was spent on, of models and of keys. Only priced engines count."""

from observability.promql import Scope, share, total
from observability.queries.gateway import JOB, requests

PARTS = ("requests", "idle", "lost")
_HOUR, _THOUSAND, _MILLION = 3600, 1_000, 1_000_000


def _engine_series(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", JOB, *matchers, engine="engine", vm="vm")


def _model_series(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", JOB, *matchers, model="model", vm="vm")


def _key_series(scope: Scope, name: str, *matchers: str) -> str:
    return scope.series(f"gateway_{name}", JOB, *matchers, key="key", vm="vm")


def hourly_price(scope: Scope) -> str:
    """The hourly price of all engines."""
    return total(_engine_series(scope, "hourly_price_usd"))


def spent(scope: Scope) -> str:
    """Dollars in the window."""
    return total(f"increase({_engine_series(scope, 'cost_usd_total')}[{scope.window}])")


def spent_by_part(scope: Scope, part: str) -> str:
    """Dollars of one part in the window: requests, idle or lost."""
    matcher = f'part="{part}"'
    return total(f"increase({_engine_series(scope, 'cost_usd_total', matcher)}[{scope.window}])")


def share_of_part(scope: Scope, part: str) -> str:
    """The share of one part in all dollars."""
    matcher = f'part="{part}"'
    part_rate = total(scope.rate(_engine_series(scope, "cost_usd_total", matcher)))
    return share(part_rate, total(scope.rate(_engine_series(scope, "cost_usd_total"))))


def hourly_cost_by(scope: Scope, label: str) -> str:
    """Dollars per hour by part or engine."""
    return f"{total(scope.rate(_engine_series(scope, 'cost_usd_total')), label)} * {_HOUR}"


def hourly_cost_by_model(scope: Scope) -> str:
    """Dollars per hour of each model's requests."""
    return f"{total(scope.rate(_model_series(scope, 'model_cost_usd_total')), 'model')} * {_HOUR}"


def hourly_cost_by_key(scope: Scope) -> str:
    """Dollars per hour of each key's requests."""
    return f"{total(scope.rate(_key_series(scope, 'key_cost_usd_total')), 'key')} * {_HOUR}"


def spent_by_key(scope: Scope) -> str:
    """Dollars of each key in the window."""
    return total(f"increase({_key_series(scope, 'key_cost_usd_total')}[{scope.window}])", "key")


def key_requests(scope: Scope) -> str:
    """Requests of each key in the window."""
    return total(f"increase({_key_series(scope, 'key_requests_total')}[{scope.window}])", "key")


def key_tokens(scope: Scope, kind: str) -> str:
    """Tokens of each key in the window; kind is input or output."""
    matcher = f'type="{kind}"'
    return total(f"increase({_key_series(scope, 'key_tokens_total', matcher)}[{scope.window}])", "key")


def key_token_rate(scope: Scope) -> str:
    """Tokens per second of each key, input and output."""
    return total(scope.rate(_key_series(scope, "key_tokens_total")), "key")


def cost_per_million_tokens(scope: Scope, *labels: str) -> str:
    """Dollars that requests cost per million output-equivalent tokens."""
    dollars = total(scope.rate(_model_series(scope, "model_cost_usd_total")), *labels)
    return f"{share(dollars, _output_equivalent_tokens(scope, *labels))} * {_MILLION}"


def total_cost_per_million_tokens(scope: Scope) -> str:
    """Dollars per million output-equivalent tokens, idle and lost time included."""
    dollars = total(scope.rate(_engine_series(scope, "cost_usd_total")))
    return f"{share(dollars, _output_equivalent_tokens(scope))} * {_MILLION}"


def cost_per_thousand_requests(scope: Scope) -> str:
    """Dollars per thousand finished requests, by model."""
    dollars = total(scope.rate(_model_series(scope, "model_cost_usd_total")), "model")
    return f"{share(dollars, total(scope.rate(requests.requests(scope)), 'model'))} * {_THOUSAND}"


def accounted_for(scope: Scope) -> str:
    """Dollars counted, relative to the price of the elapsed time: 1 except for what is still running."""
    counted = f"{total(scope.rate(_engine_series(scope, 'cost_usd_total')))} * {_HOUR}"
    return share(f"({counted})", hourly_price(scope))


def _output_equivalent_tokens(scope: Scope, *labels: str) -> str:
    return total(scope.rate(_model_series(scope, "output_equivalent_tokens_total")), *labels)
