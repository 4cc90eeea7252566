"""Cost and keys: what does it cost, who spends it, and can the numbers be trusted?"""

from observability import links
from observability.dashboard import Dashboard, Row
from observability.panel import GREEN, GREY, ORANGE, RED, Key, Panel, Query, Thresholds, graph, stat, table
from observability.queries import cost
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "engine", "key")
_INTERVAL, _FULL_RANGE, _NOW = VARIABLES.per_interval, VARIABLES.full_range, VARIABLES.now
_NO_PRICE = "No price set (ENGINE_PRICES)"
_DOLLARS = "currencyUSD"


def dashboard() -> Dashboard:
    """Without a price the rows on keys and tokens still tell who uses how much."""
    return Dashboard(
        links.COST,
        links.TITLES[links.COST],
        "What does it cost, who spends it, and can the numbers be trusted?",
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
            Row("Can the numbers be trusted?", 7, (_accounted(), _ledger())),
        ),
        VARIABLES,
    )


def _tiles() -> tuple[Panel, ...]:
    return (
        stat(
            "Price of an hour",
            "What do the engines cost an hour, used or not?",
            "as it was set in ENGINE_PRICES: discounts, disks and traffic are not in it.",
            _DOLLARS, cost.hourly_price(_NOW), no_value=_NO_PRICE, decimals=2,
        ),
        stat(
            "Spent",
            "What was paid in the time shown?",
            "for the time in which the gateway ran; what runs now is counted when it ends.",
            _DOLLARS, cost.spent(_FULL_RANGE), no_value=_NO_PRICE,
        ),
        stat(
            "Idle",
            "How much of that was for waiting?",
            "nobody in flight: the gateway's own probes are idle time too.",
            "percentunit", cost.share_of_part(_FULL_RANGE, "idle"),
            no_value=_NO_PRICE, maximum=1, decimals=0,
            action="idle most of the day: a smaller GPU, a spot VM, or one that is stopped at night.",
        ),
        stat(
            "Lost",
            "How much was paid for nothing, since a worker was killed?",
            "at most half a second's worth each time, and the time until its successor.",
            _DOLLARS, cost.spent_by_part(_FULL_RANGE, "lost"), Thresholds.warn(0.01), no_value=_NO_PRICE,
        ),
        stat(
            "A million tokens",
            "What did a million tokens cost the requests, in the time shown?",
            "output-equivalent: a token read weighs less than one written (config/prices.yaml). Without idle time.",
            _DOLLARS, cost.cost_per_million_tokens(_FULL_RANGE), no_value="No price, or no traffic", decimals=2,
        ),
        stat(
            "A million tokens, all in",
            "What did a million tokens really cost, idle time included?",
            "little traffic makes it large: the price of the machine is shared by few.",
            _DOLLARS, cost.total_cost_per_million_tokens(_FULL_RANGE), no_value="No price, or no traffic", decimals=2,
        ),
    )  # fmt: skip


def _keys() -> Panel:
    return table(
        "Keys",
        "Who spends how much, in the time shown? A click on it narrows this page down to it.",
        "the first 60 keys; those beyond are `other`. Tokens of streams that were cut short are not known: they are in "
        "Wasted output on the Gateway dashboard.",
        "short",
        24,
        (
            Query(cost.key_tokens(_FULL_RANGE, "output"), "Output tokens"),
            Query(cost.key_tokens(_FULL_RANGE, "input"), "Input tokens"),
            Query(cost.key_requests(_FULL_RANGE), "Requests"),
            Query(cost.spent_by_key(_FULL_RANGE), "Dollars", _DOLLARS),
        ),
        no_value="No key was used",
        keys=(Key("key", "Key", links.COST, "key"),),
        action="a key that surprises: its owner's name is the key's; `make key NAME=… REVOKE=1` ends it within 5 s.",
    )


def _dollars_by_key() -> Panel:
    return graph(
        "Dollars an hour by key",
        "Who spends now?",
        "counted when a request ends; idle time belongs to nobody.",
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
        "Who uses how much now, in tokens?",
        "read and written ones together, counted when a request ends.",
        "tokens/s",
        12,
        (Query(cost.key_token_rate(_INTERVAL), "{{key}}"),),
        stacked=True,
    )


def _by_part() -> Panel:
    return graph(
        "Dollars an hour by what they pay for",
        "Does the money go into requests, or into waiting?",
        "the sum is the price of the hour, but for what runs right now. lost: a worker was killed.",
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
        "Which model costs how much?",
        "of requests alone; idle time belongs to no model.",
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
        "Which engine costs how much, used or not?",
        "engines without a price cost nothing here.",
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
        "Is a token cheaper when there is more to do?",
        "output-equivalent tokens. The distance between the lines is idle time; without traffic there are none.",
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
        "Which model's tokens are dear?",
        "by the share of the engine's time that its requests took, idle time not included.",
        _DOLLARS,
        8,
        (Query(cost.cost_per_million_tokens(_INTERVAL, "model"), "{{model}}"),),
        no_value="No price, or no traffic",
        smooth=True,
    )


def _cost_per_thousand_requests() -> Panel:
    return graph(
        "Dollars for a thousand requests",
        "What do a model's requests cost?",
        "a mean over all that ended, failed and cancelled ones included. Each request's own is in the log: cost_usd.",
        _DOLLARS,
        8,
        (Query(cost.cost_per_thousand_requests(_INTERVAL), "{{model}}"),),
        no_value="No price, or no traffic",
        smooth=True,
    )


def _accounted() -> Panel:
    return graph(
        "Dollars accounted for",
        "Is every dollar somewhere: paid by a request, idle, or lost?",
        "requests pay when they end: long ones pull it below 1 and then above. Far off for long: a gateway or its "
        "counters are missing.",
        "percentunit",
        10,
        (Query(cost.accounted_for(_INTERVAL), "of the hour's price"),),
        no_value=_NO_PRICE,
        thresholds=Thresholds.limit(1),
        smooth=True,
    )


def _ledger() -> Panel:
    return table(
        "The gateway's ledger against the engines'",
        "Do the engines count the same tokens as the gateway?",
        "the gateway's own probes, and callers that went past it, are in the engines' count alone. Unread events can "
        "be several tokens each. Not by model or key.",
        "short",
        14,
        (
            Query(cost.engine_tokens(_FULL_RANGE), "By the engines"),
            Query(cost.gateway_tokens(_FULL_RANGE), "By the gateway"),
            Query(cost.wasted_events(_FULL_RANGE), "Unread"),
            Query(cost.unaccounted_share(_FULL_RANGE), "Not accounted for", "percentunit"),
        ),
        keys=(Key("of", "Of"),),
        minimum=None,
    )
