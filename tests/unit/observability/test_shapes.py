"""Dashboards of each shape of the stack: what it does not have is left out, and nothing else changes."""

import re

import pytest
from tests.support.generated_files import dashboard_files_of, panels

from observability import dashboards, shapes
from observability.dashboard import Dashboard, Row
from observability.panel import Part, Query, graph


def built(*parts: Part) -> Dashboard:
    row = tuple(
        graph(f"{part or 'every'} {n}", "Q?", "b.", "short", 6, (Query('m{job="j"}', "m"),), part=part)
        for n, part in enumerate(parts)
    )
    only_gpu = (graph("alone", "Q?", "b.", "short", 24, (Query('m{job="j"}', "m"),)),)
    return Dashboard("u", "U", "", (Row("R", 4, row), Row("GPU", 4, only_gpu, part="gpu")))


def placed(dashboard: Dashboard, parts: shapes.Parts) -> dict[str, tuple[int, int]]:
    """The column and width of each panel."""
    return {panel["title"]: (panel["gridPos"]["x"], panel["gridPos"]["w"]) for panel in panels(dashboard.json(parts))}


def test_a_panel_of_a_missing_part_leaves_its_width_to_the_others() -> None:
    dashboard = built("", "gpu", "vllm", "")
    assert placed(dashboard, shapes.ALL)["vllm 2"] == (12, 6)
    assert placed(dashboard, shapes.SHAPES["cpu"]) == {"every 0": (0, 12), "every 3": (12, 12)}
    assert placed(dashboard, shapes.SHAPES["gpu"]).keys() == {"every 0", "gpu 1", "vllm 2", "every 3", "alone"}


def test_a_row_of_a_missing_part_is_left_out_with_its_heading() -> None:
    titles = [panel["title"] for panel in built("", "", "", "").json(shapes.SHAPES["cpu"])["panels"]]  # type: ignore[attr-defined]
    assert "GPU" not in titles
    assert "R" in titles


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_a_panel_has_the_same_id_in_every_shape(shape: str) -> None:
    """Alerts link to panels by id."""
    ids = {
        (dashboard.uid, panel.title): dashboard.panel_id(panel.title)
        for dashboard in dashboards.all_dashboards()
        for panel in dashboard.panels
    }
    for dashboard in dashboard_files_of(shape):
        for panel in panels(dashboard):
            assert panel["id"] == ids[dashboard["uid"], panel["title"]]


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_links_open_dashboards_of_the_same_shape(shape: str) -> None:
    files = dashboard_files_of(shape)
    uids = {dashboard["uid"] for dashboard in files}
    assert {uid for dashboard in files for uid in re.findall(r"/d/([a-z-]+)\?", str(dashboard))} <= uids
