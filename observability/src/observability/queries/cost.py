"""Cost in dollars: of engine time by what it was spent on, of models and of keys. Only priced engines count.

The gateway counts dollars three times: by engine and part, by model, and by key. No count has two of these labels, so a
query follows only the variables of one: an expression never mixes an engine's dollars with a model's or a key's.

Over the selected range, what came in each step is added up, which Prometheus records (`recording.cost`): that is exact
to the step, where `increase` extrapolates.
"""

from dataclasses import replace

from observability import downsampling, settings
from observability.promql import Scope, share, total
from observability.queries.gateway import JOB, history

PARTS = ("requests", "idle", "lost")
STEP_SECONDS = 60  # seven days of shorter steps cost more than they show

ENGINE_COST = "engine:gateway_cost_usd:increase1m"
MODEL_COST = "model:gateway_cost_usd:increase1m"
MODEL_TOKENS = "model:gateway_output_equivalent_tokens:increase1m"
_OF_REQUESTS = 'part="requests"'
_HOUR, _THOUSAND, _MILLION = 3600, 1_000, 1_000_000


def engine_series(scope: Scope, name: str, *matchers: str) -> str:
    """Counters of the gateway by engine."""
    return scope.series(f"gateway_{name}", JOB, *matchers, engine="engine", vm="vm")


def model_series(scope: Scope, name: str, *matchers: str) -> str:
    """Counters of the gateway by model."""
    return scope.series(f"gateway_{name}", JOB, *matchers, model="model", vm="vm")


def hourly_price(scope: Scope) -> str:
    """The hourly price of all engines."""
    return total(engine_series(scope, "hourly_price_usd"))


def spent(scope: Scope, *matchers: str) -> str:
    """Dollars of engine time in the window."""
    return downsampling.count(scope, ENGINE_COST, *matchers, engine="engine", vm="vm")


def spent_by_part(scope: Scope, part: str) -> str:
    """Dollars of one part in the window: requests, idle or lost."""
    return spent(scope, f'part="{part}"')


def share_of_part(scope: Scope, part: str) -> str:
    """The share of one part in all dollars of the window."""
    return share(spent_by_part(scope, part), spent(scope))


def spent_by_models(scope: Scope, *labels: str) -> str:
    """Dollars of the requests of models in the window."""
    return downsampling.count(scope, MODEL_COST, by=labels, model="model", vm="vm")


def tokens_of_models(scope: Scope, *labels: str) -> str:
    """Output-equivalent tokens of models in the window."""
    return downsampling.count(scope, MODEL_TOKENS, by=labels, model="model", vm="vm")


def cost_per_million_tokens(scope: Scope) -> str:
    """Dollars that requests cost per million output-equivalent tokens; empty where these are few."""
    tokens = f"({tokens_of_models(scope)} >= {settings.MIN_TOKENS})"
    return f"{share(spent_by_models(scope), tokens)} * {_MILLION}"


def total_cost_per_million_tokens(scope: Scope) -> str:
    """The same with idle and lost time, which every request pays in proportion to its own cost, of whatever model."""
    all_models = replace(scope, filters={"vm": scope.filters["vm"]})
    surcharge = share(spent(all_models), spent_by_part(all_models, "requests"))
    return f"{cost_per_million_tokens(scope)} * ({surcharge})"


def cost_per_thousand_requests(scope: Scope, *labels: str) -> str:
    """Dollars per thousand finished requests, failed ones included."""
    return f"{share(_per_second(scope, MODEL_COST, *labels), history.request_rate(scope, *labels))} * {_THOUSAND}"


def hourly_cost(scope: Scope) -> str:
    """Dollars per hour, idle time included."""
    return f"{_engines_per_second(scope)} * {_HOUR}"


def hourly_request_cost(scope: Scope) -> str:
    """Dollars of requests per hour."""
    return f"{_engines_per_second(scope, _OF_REQUESTS)} * {_HOUR}"


def hourly_cost_by(scope: Scope, label: str) -> str:
    """Dollars per hour by part or engine."""
    return f"{_engines_per_second(scope, by=(label,))} * {_HOUR}"


def hourly_cost_by_model(scope: Scope) -> str:
    """Dollars per hour of each model's requests."""
    return f"{_per_second(scope, MODEL_COST, 'model')} * {_HOUR}"


def token_price(scope: Scope, *labels: str) -> str:
    """Dollars of requests per million output-equivalent tokens around each point; empty where these are few."""
    return f"{share(_per_second(scope, MODEL_COST, *labels), _enough_tokens(scope, *labels))} * {_MILLION}"


def total_token_price(scope: Scope) -> str:
    """The same with idle and lost time, which every request pays in proportion to its own cost."""
    all_models = replace(scope, filters={"vm": scope.filters["vm"]})
    surcharge = share(_engines_per_second(all_models), _engines_per_second(all_models, _OF_REQUESTS))
    return f"{token_price(scope)} * ({surcharge})"


def accounted_for(scope: Scope) -> str:
    """Dollars counted, relative to the price of the elapsed time: 1 except for what is still running."""
    return share(f"({hourly_cost(scope)})", hourly_price(scope))


def _enough_tokens(scope: Scope, *labels: str) -> str:
    on = f"and on ({', '.join(labels)})"
    enough = f"{tokens_of_models(scope, *labels)} >= {settings.MIN_TOKENS_PER_INTERVAL}"
    return f"({_per_second(scope, MODEL_TOKENS, *labels)} {on} {enough})"


def _per_second(scope: Scope, name: str, *by: str) -> str:
    return downsampling.per_second(scope, name, by=by, model="model", vm="vm")


def _engines_per_second(scope: Scope, *matchers: str, by: tuple[str, ...] = ()) -> str:
    return downsampling.per_second(scope, ENGINE_COST, *matchers, by=by, engine="engine", vm="vm")
