"""Colours with one meaning on every dashboard: red is a server-side fault, grey is up to clients, green is good."""

from observability import settings
from observability.panel import BLUE, GREEN, GREY, ORANGE, RED, YELLOW, Thresholds

# Series that can be in one graph differ in hue, not only in shade: tests/unit/observability/test_palette.py.
CYAN, PURPLE, PINK, INDIGO, LIME = "#3BC9DB", "#B877D9", "#FF7AC6", "#7B61FF", "#B4D455"

OUTCOMES = (
    ("ok", GREEN), ("client_error", BLUE), ("rate_limited", CYAN), ("queue_full", YELLOW), ("cancelled", GREY),
    ("timeout", ORANGE), ("engine_error", RED), ("stream_error", PINK), ("internal_error", PURPLE),
)  # fmt: skip
STATES = {"ready": GREEN, "starting": BLUE, "draining": YELLOW, "ejected": ORANGE, "down": RED, "failed": PURPLE}
QUANTILES = (("p50", BLUE), ("p95", ORANGE), ("p99", PURPLE))
QUANTILE_NUMBERS = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
QUANTILES_AND_MEAN = (*QUANTILES, ("mean", GREY))
# The same on another day, for comparison: dashed.
OTHER_DAY, OTHER_WEEK = INDIGO, LIME
PHASES = (
    ("queue", CYAN), ("connect", RED), ("ttft", YELLOW), ("idle", GREY), ("total", PURPLE),
    ("before_first_event", ORANGE), ("after_first_event", GREY),
)  # fmt: skip
# Engines side by side.
ENGINES = (("vLLM", BLUE), ("llama.cpp", GREEN))
LOAD = (
    ("vLLM running", BLUE), ("vLLM waiting", ORANGE), ("vLLM deferred", PURPLE), ("llama.cpp running", GREEN),
    ("llama.cpp waiting", YELLOW),
)  # fmt: skip
SOURCES = (
    ("vLLM output", BLUE), ("vLLM local_compute", ORANGE), ("vLLM local_cache_hit", CYAN),
    ("vLLM external_kv_transfer", PURPLE), ("llama.cpp output", GREEN),
    ("llama.cpp computed", YELLOW), ("llama.cpp cached", LIME),
)  # fmt: skip
TPOT = Thresholds.high_is_bad(settings.TPOT_P95_GOOD_SECONDS, settings.TPOT_P95_LIMIT_SECONDS)
# GPU memory; matched by the end of the series name.
MEMORY = (("/ used$/", BLUE), ("/ reserved$/", GREY), ("/ free$/", GREEN))
# Results of attempts at engines.
ATTEMPTS = (
    ("ok", GREEN), ("cancelled", GREY), ("rejected", BLUE), ("busy", YELLOW), ("timeout", ORANGE),
    ("unreachable", PURPLE), ("reset", RED), ("broken", PINK), ("error", CYAN),
)  # fmt: skip
CODES = (
    ("200", GREEN), ("400", BLUE), ("401", CYAN), ("403", INDIGO), ("404", LIME),
    ("429", YELLOW), ("499", GREY), ("500", PURPLE), ("502", RED), ("503", PINK), ("504", ORANGE),
)  # fmt: skip
# Why engines count more than gateways: only the last two need somebody.
CAUSES = (
    ("probe", GREY), ("unfinished", BLUE), ("retry", YELLOW), ("restart", "purple"), ("direct", ORANGE),
    ("unattributed", RED),
)  # fmt: skip
