"""A dashboard: rows of panels on Grafana's grid of 24 columns, and the variables of its queries."""

from dataclasses import dataclass, replace
from itertools import pairwise

from observability import annotations, grafana_json, provisioning, settings, shapes, variables
from observability.grafana_json import Json
from observability.panel import Panel, Part
from observability.shapes import Parts
from observability.variables import Variables

GRID_COLUMNS = 24
TAG = "glasshouse"
_MAX_UID_LENGTH = 40
_FIRST_ROW_ID = 1001  # apart from the panels' ids, so that a new row changes no link to a panel


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, which fill the grid's width.

    Attributes:
        title: the heading; without one the panels belong to the heading above.
        height: of its panels, in grid units.
        panels: from left to right.
        collapsed: hidden until the heading is clicked; needs a title.
        part: the part of the stack without which the row is left out; empty for the parts of every shape.
    """

    title: str
    height: int
    panels: tuple[Panel, ...]
    collapsed: bool = False
    part: Part = ""

    def of(self, parts: Parts) -> "Row | None":
        """The row of a stack that has only these parts: wider panels in place of those left out; None if all are."""
        kept = [panel for panel in self.panels if {self.part, panel.part} <= parts | {""}]
        if not kept:
            return None
        if len(kept) < len(self.panels):
            kept = _widened(kept)
        return replace(self, panels=tuple(kept))


class Dashboard:
    """A Grafana dashboard.

    Args:
        uid: part of its URL; at most 40 characters.
        title: unique in the folder.
        description: what it is for.
        rows: from top to bottom.
        variables: what its reader can filter by.
        part: the part of the stack without which there is no such dashboard; empty for the parts of every shape.
        refresh_seconds: how often it reads its numbers again, unless its reader chooses otherwise.

    Raises:
        ValueError: a row does not fill the width, two panels have the same title, or the uid is too long.
    """

    def __init__(
        self,
        uid: str,
        title: str,
        description: str,
        rows: tuple[Row, ...],
        variables: Variables | None = None,
        part: Part = "",
        *,
        refresh_seconds: int = settings.DETAILS_REFRESH_SECONDS,
    ) -> None:
        self.variables, self.part, self.refresh_seconds = variables or Variables(), part, refresh_seconds
        self.uid, self.title, self.description, self.rows = uid, title, description, rows
        self.panels = tuple(panel for row in rows for panel in row.panels)
        titles = [panel.title for panel in self.panels]
        if len(uid) > _MAX_UID_LENGTH:
            raise ValueError(f"Dashboard {uid}: the uid is longer than {_MAX_UID_LENGTH} characters.")
        if len(set(titles)) != len(titles):
            raise ValueError(f"Dashboard {uid}: two panels have the same title.")
        for row in rows:
            if (width := sum(panel.width for panel in row.panels)) != GRID_COLUMNS:
                raise ValueError(
                    f"Dashboard {uid}: the row with {row.panels[0].title!r} is {width} wide, not {GRID_COLUMNS}."
                )

    def panel_id(self, title: str) -> int:
        """The id of a panel, which links to it use.

        Raises:
            ValueError: no panel has that title.
        """
        titles = [panel.title for panel in self.panels]
        if title not in titles:  # Python 3.14's own message does not contain the title
            raise ValueError(f"{self.title} has no panel {title!r}.")
        return titles.index(title) + 1

    def json(self, parts: Parts = shapes.ALL) -> Json:
        """The dashboard model, as Grafana reads it from a file, of a stack that has these parts."""
        return {
            "id": None,
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": 37,  # Grafana 9.4's; newer versions migrate it when they load it
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": grafana_json.duration(self.refresh_seconds),
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "annotations": {"list": annotations.annotations_json(self.variables.per_interval)},
            "links": [_dashboard_links()],
            "templating": {"list": variables.variables_json(self.variables.names)},
            "panels": self._panels_json([row for each in self.rows if (row := each.of(parts))]),
        }

    def _panels_json(self, rows: list[Row]) -> list[Json]:
        documents: list[Json] = []
        y = 0
        for index, row in enumerate(rows):
            if row.collapsed:
                panels = self._row_panels_json(row, y + 1)
                documents.append(grafana_json.row_json(row.title, _FIRST_ROW_ID + index, y, panels))
                y += 1  # collapsed panels take no space
                continue
            if row.title:
                documents.append(grafana_json.row_json(row.title, _FIRST_ROW_ID + index, y))
                y += 1
            documents += self._row_panels_json(row, y)
            y += row.height
        return documents

    def _row_panels_json(self, row: Row, y: int) -> list[Json]:
        documents: list[Json] = []
        x = 0
        for panel in row.panels:
            grid_pos = {"x": x, "y": y, "w": panel.width, "h": row.height}
            panel_id = self.panel_id(panel.title)
            documents.append(grafana_json.panel_json(panel, panel_id, grid_pos, self.variables.names))
            x += panel.width
        return documents


def file_path(dashboard: Dashboard, shape: str) -> str:
    """The dashboard's file in the repository, for a shape of the stack."""
    return f"grafana{provisioning.DASHBOARD_PATH.removeprefix('/etc/grafana')}/{shape}/{dashboard.uid}.json"


def _widened(panels: list[Panel]) -> list[Panel]:
    """The panels, as wide as possible in the same proportions, so that they fill the grid."""
    whole = sum(panel.width for panel in panels)
    edges = [round(GRID_COLUMNS * sum(panel.width for panel in panels[:n]) / whole) for n in range(len(panels) + 1)]
    return [replace(panel, width=end - start) for panel, (start, end) in zip(panels, pairwise(edges), strict=True)]


def _dashboard_links() -> Json:
    """Links to all dashboards with our tag, on top of each of them."""
    return {
        "type": "dashboards",
        "title": "Glasshouse",
        "tags": [TAG],
        "asDropdown": False,
        "keepTime": True,
        "includeVars": True,
        "targetBlank": False,
    }
