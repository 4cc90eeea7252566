"""Why panels are not compared."""

from tests.support.grafana.panels import PanelQueries

BY_TITLE = {
    "Firing alerts": "alerts, which rule tests compare",
    "Latency added by the gateway": "the difference of two medians, each known to its bucket; both are compared",
}


def reason(panel: PanelQueries) -> str:
    """Why a panel is not compared, or not all of its queries; empty if there is none."""
    return BY_TITLE.get(panel.title, "")
