"""Engine: is an engine full, slow or faulty, and what can be changed?"""

from observability import links
from observability.dashboard import Dashboard, Row
from observability.dashboards import palette
from observability.dashboards.engine import llamacpp
from observability.dashboards.engine.common import CommonRows
from observability.dashboards.engine.vllm import VllmRows
from observability.dashboards.engine.vllm_latency import LatencyRows
from observability.panel import Panel, Query, graph, timeline
from observability.queries import extremes, launchers
from observability.queries.gateway import engines, history
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "instance")
_CELL = VARIABLES.per_cell


def dashboard() -> Dashboard:
    """First the rows that both engines fill, then those of one engine only."""
    both, latency, vllm = CommonRows(VARIABLES), LatencyRows(VARIABLES), VllmRows(VARIABLES)
    return Dashboard(
        links.ENGINE,
        links.TITLES[links.ENGINE],
        "Is an engine full, slow or faulty? The metrics of the engines, and what only the gateway knows about them.",
        (
            Row("", 4, both.tiles()),
            Row("Engine state and startup", 9, (_states(), _phases(), _unfinished())),
            Row("Saturation: requests, limits and batches", 8, both.load()),
            Row("Throughput", 8, both.work()),
            Row("Speed of a request", 8, both.speed()),
            Row("llama.cpp", 7, llamacpp.row(VARIABLES), part="llamacpp"),
            Row("vLLM latency", 8, latency.first_token_and_phases(), part="vllm"),
            Row("", 8, latency.whole_requests(), part="vllm"),
            Row("vLLM KV cache and admission", 8, vllm.memory(), part="vllm"),
            Row("vLLM by model and by server", 7, vllm.tables(), part="vllm"),
            Row("vLLM finish reasons and lengths", 8, vllm.requests(), collapsed=True, part="vllm"),
            Row("vLLM process and configuration", 7, vllm.process(), collapsed=True, part="vllm"),
        ),
        VARIABLES,
    )


def _states() -> Panel:
    return timeline(
        "Engine state",
        "Which engine is ready, starting or failed, and since when?",
        "as reported by its launcher; over long ranges each bar shows the worst state in it. The Gateway dashboard "
        "shows whether the gateway reaches it.",
        "none",
        7,
        (Query(extremes.launcher_state(_CELL), "{{job}} {{vm}}"),),
        no_value="No launcher scraped",
        value_mappings=tuple(
            (code, state, palette.STATES[state]) for code, state in enumerate(launchers.STATES, start=1)
        ),
        minimum=None,
        step_seconds=extremes.STEP_SECONDS,
        action="`failed`: the launcher's /status and its log say what to change.",
    )


def _phases() -> Panel:
    return Panel(
        "bargauge",
        "Startup phases",
        "Which phase makes the start slow?",
        "a running phase grows until it ends; earlier starts are not kept.",
        "s",
        10,
        (Query(launchers.phase_seconds(VARIABLES.now), "{{phase}} {{job}} {{vm}}"),),
        no_value="No launcher scraped",
        action="loading weights: a slow disk or a download. Compiling: keep the cache volume between starts.",
    )


def _unfinished() -> Panel:
    return graph(
        "Aborted and failed upstream requests",
        "How many attempts at engines are cancelled or fail?",
        "not counted by engines: vLLM's counter of aborted requests stays at 0 when a client cancels. Counts attempts: "
        "a retried request counts twice. Not by model.",
        "reqps",
        7,
        (Query(engines.unfinished_attempts(_CELL), "{{result}}"),),
        no_value="None, or the gateway is not scraped",
        colours=palette.ATTEMPTS[1:],
        step_seconds=history.STEP_SECONDS,
        drilldown=links.GATEWAY,
    )
