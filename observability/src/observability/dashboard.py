"""A dashboard: rows of panels on Grafana's grid of 24 columns, and the variables that its queries use."""

from dataclasses import dataclass

from observability import annotations, drawing, provisioning, settings, variables
from observability.drawing import Json
from observability.panel import Panel
from observability.variables import Choices

COLUMNS = 24
TAG = "glasshouse"
_LONGEST_UID = 40
_FIRST_ROW_NUMBER = 1001  # apart from the panels, so that a new heading moves no panel's link


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside one another, as wide as the page together.

    Attributes:
        title: the heading; without one the panels belong to the heading above.
        height: of its panels.
        panels: from left to right.
        folded: whether it opens with a click only: what is rarely asked. It needs a title.
    """

    title: str
    height: int
    panels: tuple[Panel, ...]
    folded: bool = False


class Dashboard:
    """A page of Grafana.

    Args:
        uid: part of its address; at most 40 characters.
        title: unique in the folder.
        about: what the page is for.
        rows: from top to bottom.
        choices: what its reader can narrow it down to.

    Raises:
        ValueError: a row does not fill the page, a title comes twice, or the uid is too long.
    """

    def __init__(self, uid: str, title: str, about: str, rows: tuple[Row, ...], choices: Choices | None = None) -> None:
        self.choices = choices or Choices()
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
        titles = [panel.title for panel in self.panels]
        if title not in titles:  # Python 3.14's own message names no title
            raise ValueError(f"{self.title} has no panel {title!r}.")
        return titles.index(title) + 1

    def json(self) -> Json:
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
            "annotations": {"list": annotations.listed(self.choices.at_each_point)},
            "links": [_siblings()],
            "templating": {"list": variables.listed(self.choices.names)},
            "panels": self._placed(),
        }

    def _placed(self) -> list[Json]:
        placed: list[Json] = []
        y = 0
        for index, row in enumerate(self.rows):
            if row.folded:
                hidden = self._beside_one_another(row, y + 1)
                placed.append(drawing.row(row.title, _FIRST_ROW_NUMBER + index, y, hidden))
                y += 1  # what is hidden takes no room
                continue
            if row.title:
                placed.append(drawing.row(row.title, _FIRST_ROW_NUMBER + index, y))
                y += 1
            placed += self._beside_one_another(row, y)
            y += row.height
        return placed

    def _beside_one_another(self, row: Row, y: int) -> list[Json]:
        panels: list[Json] = []
        x = 0
        for panel in row.panels:
            place = {"x": x, "y": y, "w": panel.width, "h": row.height}
            panels.append(drawing.panel(panel, self.panel_number(panel.title), place, self.choices.names))
            x += panel.width
        return panels


def path(dashboard: Dashboard) -> str:
    """Where the file lies in the repository."""
    return f"grafana{provisioning.DASHBOARD_PATH.removeprefix('/etc/grafana')}/{dashboard.uid}.json"


def _siblings() -> Json:
    return {
        "type": "dashboards",
        "title": "Glasshouse",
        "tags": [TAG],
        "asDropdown": False,
        "keepTime": True,
        "includeVars": True,
        "targetBlank": False,
    }
