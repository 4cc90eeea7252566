"""Why panels are not compared with the truth of requests."""

from tests.support.grafana.panels import PanelQueries

_ENGINE = "what an engine says of itself; its queries are tested with recorded scrapes and live engines"
_GPU = "what a GPU says of itself, not of requests"
_MACHINE = "of a machine or a process, not of requests"
_PRESENT = "of the moment in which it is looked at: nothing of it is in history"
_RECONCILED = "its own comparison of gateways and engines: tests/unit/observability/recording has its truth"
_COARSE = "reads counters of another day, of which the history has a sample a minute; the recorded ones are compared"
_APART = "dollars and requests are recorded by two groups, up to a minute apart: the ratio of a minute is not exact"

BY_DASHBOARD = {"glasshouse-engine": _ENGINE, "glasshouse-gpu": _GPU}
BY_TITLE = {
    "Firing alerts": "alerts, which rule tests compare", "Certificate expiry": _PRESENT, "Free GPU memory": _GPU,
    "GPU memory": _GPU, "CPU and memory usage": _MACHINE, "Free disk space": _MACHINE, "Disk I/O": _MACHINE,
    "Network I/O": _MACHINE, "OOM kills": _MACHINE, "Clock skew": _MACHINE, "Scrape targets": _MACHINE,
    "Versions": _PRESENT, "Queue time": _ENGINE, "Requests in flight and waiting": _ENGINE,
    "Event loop lag p99 (5m)": _MACHINE, "Event loop lag": _MACHINE, "Latency added by the gateway": _ENGINE,
    "Scrape duration": _MACHINE, "Gateway CPU usage": _MACHINE, "Gateway memory": _MACHINE,
    "nginx vs gateway requests": _MACHINE, "nginx connections": _MACHINE, "Privacy canary": _PRESENT,
    "Time since complete canary run": _PRESENT, "Engine probes per minute": "the gateway's own traffic, not requests",
    "Drift": _RECONCILED, "Token reconciliation": _RECONCILED, "Output token residual by cause": _RECONCILED,
    "Input token residual by cause": _RECONCILED, "Cost of requests per hour, compared": _COARSE,
    "Cost per 1,000 requests by model": _APART,
}  # fmt: skip


def reason(panel: PanelQueries) -> str:
    """Why a panel is not compared, or not all of its queries; empty if there is none."""
    return BY_DASHBOARD.get(panel.dashboard) or BY_TITLE.get(panel.title, "")
