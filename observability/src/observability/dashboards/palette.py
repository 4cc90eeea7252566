"""Colours with one meaning on every dashboard: red is a server-side fault, grey is up to clients, green is good."""

from observability import settings
from observability.panel import BLUE, GREEN, GREY, ORANGE, RED, YELLOW, Thresholds

OUTCOMES = (
    ("ok", GREEN), ("client_error", BLUE), ("rate_limited", "light-blue"), ("queue_full", YELLOW), ("cancelled", GREY),
    ("timeout", ORANGE), ("engine_error", RED), ("stream_error", "dark-red"), ("internal_error", "purple"),
)  # fmt: skip
STATES = {
    "ready": GREEN, "starting": BLUE, "draining": YELLOW, "ejected": ORANGE, "down": RED, "failed": "dark-red",
}  # fmt: skip
# The higher the quantile, the darker.
QUANTILES = (("p50", "light-blue"), ("p95", BLUE), ("p99", "purple"))
QUANTILE_NUMBERS = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
QUANTILES_AND_MEAN = (*QUANTILES, ("mean", GREY))
PHASES = (
    ("queue", ORANGE), ("connect", RED), ("ttft", YELLOW), ("idle", GREY), ("total", "dark-red"),
    ("before_first_event", ORANGE), ("after_first_event", GREY),
)  # fmt: skip
# Engines side by side.
ENGINES = (("vLLM", BLUE), ("llama.cpp", GREEN))
LOAD = (
    ("vLLM running", BLUE), ("vLLM waiting", ORANGE), ("vLLM deferred", "purple"), ("llama.cpp running", GREEN),
    ("llama.cpp waiting", YELLOW),
)  # fmt: skip
# The hue is the engine, the shade the source of the tokens.
SOURCES = (
    ("vLLM output", BLUE), ("vLLM local_compute", "dark-blue"), ("vLLM local_cache_hit", "light-blue"),
    ("vLLM external_kv_transfer", "purple"), ("llama.cpp output", GREEN),
    ("llama.cpp computed", "dark-green"), ("llama.cpp cached", "light-green"),
)  # fmt: skip
TPOT = Thresholds.high_is_bad(settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS)
# GPU memory; matched by the end of the series name.
MEMORY = (("/ used$/", BLUE), ("/ reserved$/", GREY), ("/ free$/", GREEN))
# Results of attempts at engines.
ATTEMPTS = (
    ("ok", GREEN), ("cancelled", GREY), ("rejected", BLUE), ("busy", YELLOW), ("timeout", ORANGE),
    ("unreachable", "dark-red"), ("reset", RED), ("broken", "light-red"), ("error", "purple"),
)  # fmt: skip
CODES = (
    ("200", GREEN), ("400", BLUE), ("401", "light-blue"), ("403", "light-blue"), ("404", "dark-blue"),
    ("429", YELLOW), ("499", GREY), ("500", "purple"), ("502", RED), ("503", "dark-red"), ("504", ORANGE),
)  # fmt: skip
# Why engines count more than gateways: only the last two need somebody.
CAUSES = (
    ("probe", GREY), ("unfinished", BLUE), ("retry", YELLOW), ("restart", "purple"), ("direct", ORANGE),
    ("unattributed", RED),
)  # fmt: skip
