"""Engine: is an engine full, slow or faulty, and what can be changed?"""

from observability import links
from observability.dashboard import Dashboard, Row
from observability.dashboards import palette
from observability.dashboards.engine.common import CommonRows
from observability.dashboards.engine.vllm import VllmRows
from observability.panel import Panel, Query, graph, timeline
from observability.queries import launchers
from observability.queries.gateway import engines
from observability.variables import Variables

VARIABLES = Variables("vm", "model", "instance")
_INTERVAL = VARIABLES.per_interval


def dashboard() -> Dashboard:
    """First the rows that both engines fill, then those of one engine only."""
    both, vllm = CommonRows(VARIABLES), VllmRows(VARIABLES)
    return Dashboard(
        links.ENGINE,
        links.TITLES[links.ENGINE],
        "Is an engine full, slow or faulty? The metrics of the engines, and what only the gateway knows about them.",
        (
            Row("", 4, both.tiles()),
            Row("Start and state", 9, (_states(), _phases(), _unfinished())),
            Row("Is it full?", 8, both.load()),
            Row("What does it work on, and how fast?", 8, both.work()),
            Row("llama.cpp", 7, both.llamacpp()),
            Row("vLLM: where does the time go?", 8, vllm.latency()),
            Row("vLLM: is there room?", 8, vllm.memory()),
            Row("vLLM: by model and by server", 7, vllm.tables()),
            Row("vLLM: how requests end, and their shape", 8, vllm.requests(), collapsed=True),
            Row("vLLM: process and configuration", 7, vllm.process(), collapsed=True),
        ),
        VARIABLES,
    )


def _states() -> Panel:
    return timeline(
        "States by the launcher",
        "Which engine is ready, starting or failed, and since when?",
        "as reported by its launcher; the Gateway dashboard shows whether the gateway reaches it.",
        "none",
        7,
        (Query(launchers.state_code(_INTERVAL), "{{job}} {{vm}}"),),
        no_value="No launcher scraped",
        value_mappings=tuple(
            (code, state, palette.STATES[state]) for code, state in enumerate(launchers.STATES, start=1)
        ),
        minimum=None,
        action="`failed`: the launcher's /status and its log say what to change.",
    )


def _phases() -> Panel:
    return Panel(
        "bargauge",
        "Phases of the latest start",
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
        "Work that was cut short",
        "How many attempts at engines are cancelled or fail?",
        "not counted by engines: vLLM's counter of aborted requests stays at 0 when a client cancels. Counts attempts: "
        "a retried request counts twice. Not by model.",
        "reqps",
        7,
        (Query(engines.unfinished_attempts(_INTERVAL), "{{result}}"),),
        no_value="Nothing cut short yet",
        colours=palette.ATTEMPTS[1:],
        drilldown=links.GATEWAY,
    )
