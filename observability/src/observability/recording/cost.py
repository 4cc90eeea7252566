"""What the Cost and keys dashboard adds up over its range: dollars, tokens and requests of each step."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import cost, keys
from observability.queries.gateway import JOB
from observability.recording.group import Group

_SCOPE = Scope("1m")
# A gateway that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "15m"


def engines_and_models() -> Group:
    """Dollars by engine and part and by model, and the tokens that share them out."""
    step = cost.STEP_SECONDS
    models = ("vm", "model")
    return Group(
        "glasshouse-cost",
        step,
        {
            cost.ENGINE_COST: _increase(cost.engine_series(_SCOPE, "cost_usd_total"), step, "vm", "engine", "part"),
            cost.MODEL_COST: _increase(cost.model_series(_SCOPE, "model_cost_usd_total"), step, *models),
            cost.MODEL_TOKENS: _increase(cost.model_series(_SCOPE, "output_equivalent_tokens_total"), step, *models),
        },
    )


def by_key() -> Group:
    """Requests, tokens, dollars and latency by key; without the many outcomes that did not happen."""
    step, labels = keys.STEP_SECONDS, ("vm", "key")

    def of_keys(name: str, *more: str) -> str:
        return _increase(keys.series(_SCOPE, name), step, *labels, *more)

    return Group(
        "glasshouse-keys",
        step,
        {
            keys.REQUESTS: f"{of_keys('requests_total', 'outcome')} > 0",
            keys.TOKENS: of_keys("tokens_total", "type"),
            keys.COST: of_keys("cost_usd_total"),
            keys.DURATION_SUM: of_keys("request_duration_seconds_sum"),
            keys.DURATION_COUNT: of_keys("request_duration_seconds_count"),
            keys.TTFT_SUM: of_keys("time_to_first_token_seconds_sum"),
            keys.TTFT_COUNT: of_keys("time_to_first_token_seconds_count"),
        },
    )


def _increase(counters: str, step_seconds: int, *by: str) -> str:
    delay = settings.SCRAPE_INTERVAL_SECONDS
    return total(increase_between_evaluations(counters, JOB, step_seconds, delay, _LONGEST_GAP), *by)
