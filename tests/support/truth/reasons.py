"""Why panels are not compared."""

from tests.support.grafana.panels import PanelQueries

_PROCESS = "of a process that this history does not have; its queries are tested with recorded scrapes and live"
BY_TITLE = {
    "Firing alerts": "alerts, which rule tests compare", "Event loop lag p99 (5m)": _PROCESS,
    "Event loop lag": _PROCESS,
    "Latency added by the gateway": "the difference of two medians, each known to its bucket; both are compared",
}  # fmt: skip


def reason(panel: PanelQueries) -> str:
    """Why a panel is not compared, or not all of its queries; empty if there is none."""
    return BY_TITLE.get(panel.title, "")
