"""The list of all panels, for those who look for a question and not for a dashboard."""

from collections.abc import Sequence

from observability.dashboard import Dashboard
from observability.panel import Panel

_HEAD = """\
# Every panel, and the question it answers

<!-- Written by `make dashboards` from observability/: change it there. -->

What each dashboard is for, and how to read it, is in [dashboards.md](dashboards.md). A panel's own description in
Grafana (the i in its corner) says the same, with what to do.
"""


def page(dashboards: Sequence[Dashboard]) -> str:
    """In Markdown: a table for each dashboard."""
    return "\n".join([_HEAD, *(_table(dashboard) for dashboard in dashboards)])


def _table(dashboard: Dashboard) -> str:
    lines = [
        f"## {dashboard.title}",
        "",
        dashboard.about,
        "",
        "| panel | the question | reads | blind spot |",
        "|---|---|---|---|",
        *(_line(panel) for panel in dashboard.panels),
        "",
    ]
    return "\n".join(lines)


def _line(panel: Panel) -> str:
    reads = ", ".join(f"`{name}`" for name in panel.metrics) or "Grafana's own alerts"
    cells = (panel.title, panel.question, reads, panel.blind_spot)
    return f"| {' | '.join(cell.replace('|', '¦') for cell in cells)} |"
