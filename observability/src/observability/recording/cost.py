"""What the Cost and keys dashboard adds up over its range: dollars, tokens and requests of each step."""

from observability import settings
from observability.promql import Scope, increase_between_evaluations, total
from observability.queries import cost, keys
from observability.queries.gateway import JOB, requests
from observability.recording.group import Group

_SCOPE = Scope("1m")
# A gateway that could not be scraped for so long has its requests counted when it can.
_LONGEST_GAP = "15m"


def group() -> Group:
    """Dollars by engine, model and key, with the tokens and requests that share them out; latency by key.

    Of the many outcomes of a key, those that did not happen are not recorded.
    """
    engines = cost.engine_series(_SCOPE, "cost_usd_total")
    models = {
        cost.MODEL_COST: cost.model_series(_SCOPE, "model_cost_usd_total"),
        cost.MODEL_TOKENS: cost.model_series(_SCOPE, "output_equivalent_tokens_total"),
        cost.MODEL_REQUESTS: requests.requests(_SCOPE),
    }
    sums = {
        keys.COST: "cost_usd_total",
        keys.DURATION_SUM: "request_duration_seconds_sum",
        keys.DURATION_COUNT: "request_duration_seconds_count",
        keys.TTFT_SUM: "time_to_first_token_seconds_sum",
        keys.TTFT_COUNT: "time_to_first_token_seconds_count",
    }
    by_outcome, by_type = (keys.series(_SCOPE, name) for name in ("requests_total", "tokens_total"))
    return Group(
        "glasshouse-cost",
        cost.STEP_SECONDS,
        {
            cost.ENGINE_COST: _increase(engines, "engine", "part"),
            **{name: _increase(counters, "model") for name, counters in models.items()},
            keys.REQUESTS: f"{_increase(by_outcome, 'key', 'outcome')} > 0",
            keys.TOKENS: _increase(by_type, "key", "type"),
            **{name: _increase(keys.series(_SCOPE, counter), "key") for name, counter in sums.items()},
        },
    )


def _increase(counters: str, *by: str) -> str:
    delay = settings.SCRAPE_INTERVAL_SECONDS
    return total(increase_between_evaluations(counters, JOB, cost.STEP_SECONDS, delay, _LONGEST_GAP), "vm", *by)
