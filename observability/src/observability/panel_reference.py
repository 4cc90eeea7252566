"""docs/panels.md: all panels by dashboard, for readers who have a question and look for the panel."""

from collections.abc import Sequence

from observability.dashboard import Dashboard
from observability.panel import Panel

_INTRO = """\
# Panel reference

<!-- Written by `make dashboards` from observability/: change it there. -->

[dashboards.md](dashboards.md) explains what each dashboard is for and how to read it. The same texts, with what to do,
are in each panel's description in Grafana (the i in its corner).
"""


def markdown(dashboards: Sequence[Dashboard]) -> str:
    """A Markdown page with a table for each dashboard."""
    return "\n".join([_INTRO, *(_table(dashboard) for dashboard in dashboards)])


def _table(dashboard: Dashboard) -> str:
    lines = [
        f"## {dashboard.title}",
        "",
        dashboard.description,
        "",
        "| panel | question | metrics | blind spot |",
        "|---|---|---|---|",
        *(_table_row(panel) for panel in dashboard.panels),
        "",
    ]
    return "\n".join(lines)


def _table_row(panel: Panel) -> str:
    reads = ", ".join(f"`{name}`" for name in panel.metrics) or "Grafana's own alerts"
    cells = (panel.title, panel.question, reads, panel.blind_spot)
    return f"| {' | '.join(cell.replace('|', '¦') for cell in cells)} |"
