"""A dashboard: rows of panels on Grafana's grid of 24 columns, and the variables that its queries use."""

from dataclasses import dataclass

from observability import drawing, provisioning, settings, variables
from observability.panel import Panel

COLUMNS = 24
TAG = "glasshouse"
_LONGEST_UID = 40
_FIRST_ROW_NUMBER = 1001  # apart from the panels, so that a new heading moves no panel's link


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside one another, as wide as the page together; without a title it has no heading."""

    title: str
    height: int
    panels: tuple[Panel, ...]


class Dashboard:
    """A page of Grafana.

    Args:
        uid: part of its address; at most 40 characters.
        title: unique in the folder.
        about: what the page is for.
        rows: from top to bottom.

    Raises:
        ValueError: a row does not fill the page, a title comes twice, or the uid is too long.
    """

    def __init__(self, uid: str, title: str, about: str, rows: tuple[Row, ...]) -> None:
        self.uid, self.title, self.about, self.rows = uid, title, about, rows
        self.panels = tuple(panel for row in rows for panel in row.panels)
        titles = [panel.title for panel in self.panels]
        if len(uid) > _LONGEST_UID or len(set(titles)) != len(titles):
            raise ValueError(f"Dashboard {uid}: its uid is longer than {_LONGEST_UID}, or a panel's title comes twice.")
        for row in rows:
            if (width := sum(panel.width for panel in row.panels)) != COLUMNS:
                raise ValueError(
                    f"Dashboard {uid}: the row with {row.panels[0].title!r} is {width} wide, not {COLUMNS}."
                )

    def panel_number(self, title: str) -> int:
        """The id of a panel, by which a link finds it.

        Raises:
            ValueError: no panel has that title.
        """
        return [panel.title for panel in self.panels].index(title) + 1

    def json(self) -> dict[str, object]:
        """The file that Grafana reads."""
        return {
            "id": None,
            "uid": self.uid,
            "title": self.title,
            "description": self.about,
            "tags": [TAG],
            "schemaVersion": 37,  # Grafana 9.4's; newer ones bring it up to theirs when they load it
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": f"{settings.REFRESH_SECONDS}s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "annotations": {"list": []},
            "links": [_siblings()],
            "templating": {"list": variables.all_of_them()},
            "panels": self._placed(),
        }

    def _placed(self) -> list[dict[str, object]]:
        placed: list[dict[str, object]] = []
        y = 0
        for index, row in enumerate(self.rows):
            if row.title:
                placed.append(drawing.row(row.title, _FIRST_ROW_NUMBER + index, y))
                y += 1
            x = 0
            for panel in row.panels:
                place = {"x": x, "y": y, "w": panel.width, "h": row.height}
                placed.append(drawing.panel(panel, self.panel_number(panel.title), place))
                x += panel.width
            y += row.height
        return placed


def path(dashboard: Dashboard) -> str:
    """Where the file lies in the repository."""
    return f"grafana{provisioning.DASHBOARD_PATH.removeprefix('/etc/grafana')}/{dashboard.uid}.json"


def _siblings() -> dict[str, object]:
    return {
        "type": "dashboards",
        "title": "Glasshouse",
        "tags": [TAG],
        "asDropdown": True,
        "keepTime": True,
        "includeVars": True,
        "targetBlank": False,
    }
