import itertools
import re
from typing import Any

import pytest
from tests.unit.observability.parts import dashboard_files, panels

from observability import dashboards
from observability.dashboard import Dashboard, Row
from observability.panel import Panel, Query, Thresholds

FILES = {dashboard["uid"]: dashboard for dashboard in dashboard_files()}
# Ids of Grafana's own units; anything else is shown as a suffix, which is what tokens are.
UNITS = {"s", "reqps", "percentunit", "mbytes", "short", "none", "tokens/s", "ev/s"}


@pytest.fixture(params=FILES)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return FILES[request.param]


def test_uids_are_unique_and_short() -> None:
    uids = [dashboard.uid for dashboard in dashboards.every()]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[a-z-]{1,40}", uid) for uid in uids)


def test_panels_have_ids_of_their_own(dashboard: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_panel_says_what_it_answers_reads_and_misses(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        question, reads, blind_spot = panel["description"].split("\n\n")
        assert "?" in question, panel["title"]
        assert re.fullmatch(r"Reads: (`[\w:]+`(, )?)+\.", reads), panel["title"]
        assert blind_spot.startswith("Blind spot: "), panel["title"]


def test_every_panel_has_a_unit_and_says_what_emptiness_means(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS, panel["title"]
        assert defaults["noValue"], panel["title"]


def test_rows_fill_the_page_without_overlap_or_gap(dashboard: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        own = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert not cells & own, panel["title"]
        cells |= own
    height = 1 + max(y for _, y in cells)
    assert cells == set(itertools.product(range(24), range(height)))


def test_every_query_goes_to_the_chosen_prometheus(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH"[: len(panel["targets"])])
    assert dashboard["templating"]["list"][0]["name"] == "datasource"
    assert "${DS_" not in str(dashboard)


def test_a_tile_shows_now_and_not_the_last_value_that_there_was(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            assert target["instant"] == (panel["type"] == "stat")
            assert target["range"] != target["instant"]


def test_thresholds_rise(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        first, *rest = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert first["value"] is None
        values = [step["value"] for step in rest]
        assert values == sorted(values), panel["title"]


def _panel(title: str = "t", width: int = 24) -> Panel:
    return Panel("stat", title, "q?", "b", "s", width, (Query('m{job="j"}', "l"),), thresholds=Thresholds())


def test_a_row_that_does_not_fill_the_page_is_refused() -> None:
    with pytest.raises(ValueError, match="is 23 wide, not 24"):
        Dashboard("u", "U", "", (Row("", 4, (_panel(width=23),)),))


def test_a_title_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="comes twice"):
        Dashboard("u", "U", "", (Row("", 4, (_panel(),)), Row("", 4, (_panel(),))))


def test_a_panel_is_found_by_its_title() -> None:
    built = Dashboard("u", "U", "", (Row("R", 4, (_panel("a", 12), _panel("b", 12))),))
    (number,) = (panel["id"] for panel in panels(built.json()) if panel["title"] == "b")
    assert built.panel_number("b") == number
    with pytest.raises(ValueError, match="c"):
        built.panel_number("c")
