"""Overview: is the service well, and if not, which part to look at?"""

from observability import links, settings
from observability.dashboard import Dashboard, Row
from observability.dashboards import gateway as gateway_dashboard
from observability.dashboards import gateway_health, overview_levels, overview_machines, overview_tiles, palette
from observability.panel import Key, Panel, Query, Thresholds, table
from observability.queries import gateway, llamacpp, vllm
from observability.variables import Choices

UID = links.OVERVIEW
CHOICES = Choices("vm", "model", "engine")
_AT = CHOICES.at_each_point


def dashboard() -> Dashboard:
    """The page that opens first."""
    return Dashboard(
        UID,
        links.TITLES[UID],
        "Is the service well, and if not, which part to look at?",
        (
            Row("", 4, overview_tiles.service(CHOICES)),
            Row("", 4, overview_tiles.parts(CHOICES)),
            Row("Service levels", 4, overview_levels.tiles(CHOICES)),
            Row("", 8, overview_levels.graphs()),
            Row("What to do now", 8, (_alerts(), _models())),
            Row("Latency", 8, (_first_token(), _per_token(), gateway_dashboard.added_latency(CHOICES))),
            Row("Traffic", 8, (_requests(), _shares(), _tokens())),
            Row("Engines", 8, (_engine_states(), _load())),
            Row("What was lost", 7, (_cancellations(), _timeouts(), _wasted())),
            Row("Machines", 9, overview_machines.machines(CHOICES)),
            Row("", 8, overview_machines.targets(CHOICES)),
        ),
        CHOICES,
    )


def _alerts() -> Panel:
    return Panel(
        kind="alertlist",
        title="Alerts that fire",
        question="What has to be done now? Each has a heading in docs/runbook.md that ends in checks to paste.",
        blind_spot="what no alert looks for. Without Prometheus only TargetDown fires, and the rest is silent.",
        unit="none",
        width=8,
        queries=(),
        nothing="Nothing fires",
    )


def _models() -> Panel:
    return table(
        "Models",
        "Which model is used, and which one fails or is slow? A click on it opens the Gateway dashboard for it.",
        "over the whole time shown. `none` named no model, `other` is one that no engine serves.",
        "short",
        16,
        gateway_dashboard.model_columns(CHOICES, brief=True),
        keys=(Key("model", "Model", links.GATEWAY, "model"),),
    )


def _first_token() -> Panel:
    return Panel(
        kind="timeseries",
        title="Time to first token",
        question="How long does a reader wait for the first word?",
        blind_spot="streams only, and only those that got a first token; what timed out before is in Timeouts.",
        unit="s",
        width=8,
        queries=tuple(Query(gateway.time_to_first_token(_AT, q), name) for q, name in palette.QUANTILE_NUMBERS),
        thresholds=Thresholds.limit(settings.TTFT_P95_LIMIT_SECONDS),
        colours=palette.QUANTILES,
        smooth=True,
    )


def _per_token() -> Panel:
    return Panel(
        kind="timeseries",
        title="Time per output token",
        question="How fast does the text appear, once it has begun?",
        blind_spot="each request counts with its mean, so that a pause within an answer does not show; "
        "answers of one token and broken streams are left out.",
        unit="s",
        width=8,
        queries=tuple(Query(gateway.time_per_output_token(_AT, q), name) for q, name in palette.QUANTILE_NUMBERS),
        thresholds=Thresholds.limit(settings.TPOT_P95_LIMIT_SECONDS),
        colours=palette.QUANTILES,
        smooth=True,
    )


def _requests() -> Panel:
    return Panel(
        kind="timeseries",
        title="Requests by outcome",
        question="How much comes in, and how does it end?",
        blind_spot="a request counts when it ends: long streams show late. What nginx refused is not in it.",
        unit="reqps",
        width=8,
        queries=(Query(gateway.requests_by_outcome(_AT), "{{outcome}}"),),
        colours=palette.OUTCOMES,
        stacked=True,
    )


def _shares() -> Panel:
    return Panel(
        kind="timeseries",
        title="Share of requests by outcome, without ok",
        question="Which way do requests go wrong, and how many of them?",
        blind_spot="a share of all that finished, cancelled ones included; with little traffic one request is much.",
        unit="percentunit",
        width=8,
        queries=(Query(gateway.share_by_outcome(_AT), "{{outcome}}"),),
        colours=palette.OUTCOMES[1:],
        smooth=True,
    )


def _tokens() -> Panel:
    return Panel(
        kind="timeseries",
        title="Output tokens per second",
        question="How much text do we produce, for which model?",
        blind_spot="tokens count when their request ends, by the engine's own usage; streams that were cut short have "
        "none and are in Wasted output.",
        unit="tokens/s",
        width=8,
        queries=(Query(gateway.output_tokens(_AT, "model"), "{{model}}"),),
        stacked=True,
    )


def _engine_states() -> Panel:
    return Panel(
        kind="state-timeline",
        title="Engine states",
        question="Which engines can answer, and since when?",
        blind_spot="as the gateway sees them, by its own one-token probe; why one failed is told by its launcher's "
        "/status and log.",
        unit="none",
        width=12,
        queries=(Query(gateway.engine_state_code(_AT), "{{engine}} {{vm}}"),),
        nothing="The gateway knows no engine",
        words=gateway_health.STATE_WORDS,
        minimum=None,
    )


def _load() -> Panel:
    return Panel(
        kind="timeseries",
        title="Requests in flight",
        question="Is it full, and where do requests wait?",
        blind_spot="the value at each scrape: short bursts between two are not seen. The gateway's own includes those "
        "that an engine makes wait.",
        unit="short",
        width=12,
        queries=(
            Query(gateway.in_flight(_AT), "gateway in flight"),
            Query(vllm.running(_AT), "vLLM running"),
            Query(vllm.waiting(_AT), "vLLM waiting"),
            Query(llamacpp.running(_AT), "llama.cpp running"),
            Query(llamacpp.waiting(_AT), "llama.cpp waiting"),
        ),
        nothing="Neither gateway nor engine is scraped",
        colours=(("gateway in flight", "light-blue"), *palette.LOAD),
    )


def _cancellations() -> Panel:
    return Panel(
        kind="timeseries",
        title="Cancellations",
        question="Do clients leave, and before or after the first word?",
        blind_spot="a client that left and one whose network broke look the same; not by model.",
        unit="reqps",
        width=8,
        queries=(Query(gateway.cancellations(_AT), "{{phase}}"),),
        nothing="No gateway",
        colours=palette.PHASES,
        stacked=True,
    )


def _timeouts() -> Panel:
    return Panel(
        kind="timeseries",
        title="Timeouts",
        question="Where do requests hang?",
        blind_spot="says in which phase the time ran out, not which engine was at fault.",
        unit="reqps",
        width=8,
        queries=(Query(gateway.timeouts(_AT), "{{phase}}"),),
        nothing="No gateway",
        colours=palette.PHASES,
        stacked=True,
    )


def _wasted() -> Panel:
    return Panel(
        kind="timeseries",
        title="Wasted output",
        question="How much of the engines' work did nobody read to the end?",
        blind_spot="counted in events, since an unfinished stream has no usage: one event can be several tokens.",
        unit="events/s",
        width=8,
        queries=(Query(gateway.wasted_tokens(_AT), "{{reason}}"),),
        nothing="Nothing wasted yet",
        colours=palette.OUTCOMES,
        stacked=True,
    )
