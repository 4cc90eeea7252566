"""Cost and keys: what does the stack cost, who causes it, and are the numbers reliable?"""

from observability import links
from observability.dashboard import Dashboard, Row
from observability.dashboards import reconciliation
from observability.panel import GREEN, GREY, ORANGE, RED, Key, Panel, Query, Thresholds, graph, stat, table
from observability.queries import cost
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "engine", "key")
_INTERVAL, _FULL_RANGE, _NOW = VARIABLES.per_interval, VARIABLES.full_range, VARIABLES.now
_NO_PRICE = "No price set (ENGINE_PRICES)"
_DOLLARS = "currencyUSD"


def dashboard() -> Dashboard:
    """Without prices, the panels on keys and tokens still show who uses how much."""
    return Dashboard(
        links.COST,
        links.TITLES[links.COST],
        "What does the stack cost, who causes it, and are the numbers reliable?",
        (
            Row("", 4, _tiles()),
            Row("Who spends?", 8, (_keys(),)),
            Row("", 8, (_dollars_by_key(), _tokens_by_key())),
            Row("Where do the dollars go?", 8, (_by_part(), _by_model(), _by_engine())),
            Row(
                "What does a token cost?",
                8,
                (_cost_per_million_tokens(), _cost_per_million_tokens_by_model(), _cost_per_thousand_requests()),
            ),
            Row("Can the numbers be trusted?", 7, (_accounted(), reconciliation.drift())),
            Row("Token reconciliation", 8, reconciliation.panels()),
        ),
        VARIABLES,
    )


def _tiles() -> tuple[Panel, ...]:
    return (
        stat(
            "Price of an hour",
            "What do the engines cost per hour, used or not?",
            "the prices of ENGINE_PRICES; discounts, disks and network traffic are not included.",
            _DOLLARS, cost.hourly_price(_NOW), no_value=_NO_PRICE, decimals=2,
        ),
        stat(
            "Spent",
            "How much was spent in the selected time range?",
            "only while the gateway was running; running requests are counted when they end.",
            _DOLLARS, cost.spent(_FULL_RANGE), no_value=_NO_PRICE,
        ),
        stat(
            "Idle",
            "How much of that was spent on idle time?",
            "idle means no request in flight; the gateway's own probes count as idle time.",
            "percentunit", cost.share_of_part(_FULL_RANGE, "idle"),
            no_value=_NO_PRICE, maximum=1, decimals=0,
            action="idle most of the day: use a smaller GPU, a spot VM, or stop the VM at night.",
        ),
        stat(
            "Lost",
            "How much was spent on engine time that a killed worker did not account for?",
            "at most half a second of engine time per kill, plus the time until the worker is replaced.",
            _DOLLARS, cost.spent_by_part(_FULL_RANGE, "lost"), Thresholds.warn(0.01), no_value=_NO_PRICE,
        ),
        stat(
            "A million tokens",
            "What did a million tokens cost in the selected time range, without idle time?",
            "output-equivalent tokens: an input token weighs less than an output token (config/prices.yaml).",
            _DOLLARS, cost.cost_per_million_tokens(_FULL_RANGE), no_value="No price, or no traffic", decimals=2,
        ),
        stat(
            "A million tokens, all in",
            "What did a million tokens cost in the selected time range, idle time included?",
            "high at low traffic, since few tokens share the price of the machine.",
            _DOLLARS, cost.total_cost_per_million_tokens(_FULL_RANGE), no_value="No price, or no traffic", decimals=2,
        ),
    )  # fmt: skip


def _keys() -> Panel:
    return table(
        "Keys",
        "Which key used how much in the selected time range? Click a key to filter by it.",
        "the first 60 keys; all others are `other`. Tokens of interrupted streams are unknown: see Wasted output on "
        "the Gateway dashboard.",
        "short",
        24,
        (
            Query(cost.key_tokens(_FULL_RANGE, "output"), "Output tokens"),
            Query(cost.key_tokens(_FULL_RANGE, "input"), "Input tokens"),
            Query(cost.key_requests(_FULL_RANGE), "Requests"),
            Query(cost.spent_by_key(_FULL_RANGE), "Dollars", _DOLLARS),
        ),
        no_value="No key used",
        keys=(Key("key", "Key", links.COST, "key"),),
        action="unexpected usage: the name of the key is its owner's; `make key NAME=… REVOKE=1` revokes it within 5 "
        "s.",
    )


def _dollars_by_key() -> Panel:
    return graph(
        "Dollars an hour by key",
        "Which keys cause the cost at the moment?",
        "counted when a request ends; idle time belongs to no key.",
        _DOLLARS,
        12,
        (Query(cost.hourly_cost_by_key(_INTERVAL), "{{key}}"),),
        no_value=_NO_PRICE,
        stacked=True,
        smooth=True,
    )


def _tokens_by_key() -> Panel:
    return graph(
        "Tokens by key",
        "Which keys use how many tokens at the moment?",
        "input and output tokens together, counted when a request ends.",
        "tokens/s",
        12,
        (Query(cost.key_token_rate(_INTERVAL), "{{key}}"),),
        stacked=True,
    )


def _by_part() -> Panel:
    return graph(
        "Dollars an hour by what they pay for",
        "Is the money spent on requests or on idle time?",
        "adds up to the hourly price, except for running requests. lost: a worker was killed.",
        _DOLLARS,
        8,
        (Query(cost.hourly_cost_by(_INTERVAL, "part"), "{{part}}"),),
        no_value=_NO_PRICE,
        colours=(("requests", GREEN), ("idle", GREY), ("lost", RED)),
        stacked=True,
        smooth=True,
    )


def _by_model() -> Panel:
    return graph(
        "Dollars an hour by model",
        "How much does each model cost?",
        "requests only; idle time belongs to no model.",
        _DOLLARS,
        8,
        (Query(cost.hourly_cost_by_model(_INTERVAL), "{{model}}"),),
        no_value=_NO_PRICE,
        stacked=True,
        smooth=True,
    )


def _by_engine() -> Panel:
    return graph(
        "Dollars an hour by engine",
        "How much does each engine cost, used or not?",
        "engines without a price are counted as free.",
        _DOLLARS,
        8,
        (Query(cost.hourly_cost_by(_INTERVAL, "engine"), "{{engine}}"),),
        no_value=_NO_PRICE,
        stacked=True,
        smooth=True,
    )


def _cost_per_million_tokens() -> Panel:
    return graph(
        "Dollars for a million tokens",
        "Do tokens get cheaper under load?",
        "output-equivalent tokens. The distance between the lines is idle time; there are no lines without traffic.",
        _DOLLARS,
        8,
        (
            Query(cost.cost_per_million_tokens(_INTERVAL), "requests alone"),
            Query(cost.total_cost_per_million_tokens(_INTERVAL), "all in"),
        ),
        no_value="No price, or no traffic",
        colours=(("requests alone", GREEN), ("all in", ORANGE)),
        smooth=True,
        drilldown=links.GPU,
    )


def _cost_per_million_tokens_by_model() -> Panel:
    return graph(
        "Dollars for a million tokens by model",
        "Which model's tokens are expensive?",
        "by the share of engine time that its requests used; idle time is not included.",
        _DOLLARS,
        8,
        (Query(cost.cost_per_million_tokens(_INTERVAL, "model"), "{{model}}"),),
        no_value="No price, or no traffic",
        smooth=True,
    )


def _cost_per_thousand_requests() -> Panel:
    return graph(
        "Dollars for a thousand requests",
        "What do the requests of each model cost?",
        "a mean over all finished requests, failed and cancelled ones included. The log has each one's cost_usd.",
        _DOLLARS,
        8,
        (Query(cost.cost_per_thousand_requests(_INTERVAL), "{{model}}"),),
        no_value="No price, or no traffic",
        smooth=True,
    )


def _accounted() -> Panel:
    return graph(
        "Dollars accounted for",
        "Is all engine time accounted for, as requests, idle or lost?",
        "requests are counted when they end: long ones pull it below 1 and then above. If it stays off, a gateway or "
        "its counters are missing.",
        "percentunit",
        10,
        (Query(cost.accounted_for(_INTERVAL), "of the hour's price"),),
        no_value=_NO_PRICE,
        thresholds=Thresholds.limit(1),
        smooth=True,
    )
