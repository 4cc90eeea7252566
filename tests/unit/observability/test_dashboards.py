import itertools
import json
import re
from typing import Any, get_args

import pytest
from tests.support.generated_files import dashboard_files, panels

from observability import dashboards
from observability.dashboard import Dashboard, Row
from observability.panel import Needs, Panel, Query, Thresholds

FILES = {dashboard["uid"]: dashboard for dashboard in dashboard_files()}
# Unit ids of Grafana; any other text, such as tokens, is shown as a suffix.
UNITS = {
    *(
        "s",
        "reqps",
        "ops",
        "percentunit",
        "mbytes",
        "bytes",
        "short",
        "locale",
        "none",
        "string",
        "tokens/s",
        "tokens",
        "events/s",
        "days",
        "binBps",
        "cores",
        "dateTimeFromNow",
    ),
    *("x", "percent", "celsius", "watt", "hertz", "joule", "currencyUSD"),
}


@pytest.fixture(params=FILES)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return FILES[request.param]


def test_uids_are_unique_and_short() -> None:
    uids = [dashboard.uid for dashboard in dashboards.all_dashboards()]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[a-z-]{1,40}", uid) for uid in uids)


def test_panel_ids_are_unique(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_description_has_question_metrics_and_blind_spot(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        question, reads, blind_spot, *action = panel["description"].split("\n\n")
        assert "?" in question, panel["title"]
        if panel["type"] != "alertlist":
            assert re.fullmatch(r"Reads: (`[\w:]+`(, )?)+\.", reads), panel["title"]
        assert blind_spot.startswith("Blind spot: "), panel["title"]
        assert len(action) <= 1
        assert all(text.startswith("What to do: ") for text in action), panel["title"]


def test_every_panel_has_a_unit_and_a_text_for_no_value(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        defaults = panel["fieldConfig"]["defaults"]
        columns = [
            part["value"]
            for override in panel["fieldConfig"]["overrides"]
            for part in override["properties"]
            if part["id"] == "unit"
        ]
        assert {defaults["unit"], *columns} <= UNITS, panel["title"]
        assert defaults["noValue"], panel["title"]


def test_no_number_is_rounded_to_thousands(dashboard: dict[str, Any]) -> None:
    """Grafana writes 1,327 of the unit "short" as "1 K" if there may be no decimals."""
    for panel in panels(dashboard):
        defaults = panel["fieldConfig"]["defaults"]
        assert (defaults["unit"], defaults.get("decimals")) != ("short", 0), panel["title"]


def test_panels_fill_the_grid_without_overlap_or_gap(dashboard: dict[str, Any]) -> None:
    _check_grid(dashboard["panels"], top=0)
    for row in dashboard["panels"]:
        if row["type"] == "row" and row["collapsed"]:
            _check_grid(row["panels"], top=row["gridPos"]["y"] + 1)


def _check_grid(panels_json: list[dict[str, Any]], top: int) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in panels_json:
        grid_pos = panel["gridPos"]
        own = set(
            itertools.product(
                range(grid_pos["x"], grid_pos["x"] + grid_pos["w"]), range(grid_pos["y"], grid_pos["y"] + grid_pos["h"])
            )
        )
        assert not cells & own, panel["title"]
        cells |= own
    bottom = 1 + max(y for _, y in cells)
    assert cells == set(itertools.product(range(24), range(top, bottom)))


def test_variables_are_those_that_queries_use(dashboard: dict[str, Any]) -> None:
    names = {variable["name"] for variable in dashboard["templating"]["list"]} - {"datasource"}
    expressions = " ".join(target["expr"] for panel in panels(dashboard) for target in panel["targets"])
    assert set(re.findall(r"\$([a-z]\w*)", expressions)) == names


def test_links_use_dashboards_and_variables_that_exist(dashboard: dict[str, Any]) -> None:
    for url in re.findall(r'"url": "(/d/[^"]*)"', json.dumps(dashboard)):
        uid, _, query = url.removeprefix("/d/").partition("?")
        assert uid in FILES
        assert "${__url_time_range}" in query
        there = {variable["name"] for variable in FILES[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", query)) <= there, url
        here = {variable["name"] for variable in dashboard["templating"]["list"]}
        assert set(re.findall(r"\$\{(\w+):queryparam\}", query)) <= here, url


def test_a_cell_link_filters_the_dashboard_that_it_opens() -> None:
    (models,) = (panel for panel in panels(FILES["glasshouse-gateway"]) if panel["title"] == "Models")
    (link,) = (
        part["value"][0]["url"]
        for override in models["fieldConfig"]["overrides"]
        for part in override["properties"]
        if part["id"] == "links"
    )
    assert link.endswith("&var-model=${__value.raw}")
    assert "${vm:queryparam}" in link
    assert "${model:queryparam}" not in link


def test_legends_are_hidden_for_one_series_and_tables_for_many(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        if panel["type"] != "timeseries":
            continue
        legend, names = panel["options"]["legend"], [target["legendFormat"] for target in panel["targets"]]
        many = any("{{" in name for name in names)
        assert legend["showLegend"] == (many or len(names) > 1), panel["title"]
        if not many:  # on one line below the graph
            assert legend["displayMode"] == "list"
            assert sum(len(name) + 4 for name in names) <= 10 * panel["gridPos"]["w"], panel["title"]


def test_a_series_name_has_one_colour_everywhere() -> None:
    colours: dict[str, set[str]] = {}
    for dashboard in dashboards.all_dashboards():
        for panel in dashboard.panels:
            for name, colour in panel.colours:
                colours.setdefault(name, set()).add(colour)
    assert {name: found for name, found in colours.items() if len(found) > 1} == {}


def test_quantiles_and_closed_sets_have_fixed_colours(dashboard: dict[str, Any]) -> None:
    closed = {"p50", "p95", "p99", "{{outcome}}", "{{phase}}", "{{result}}", "{{code}}", "{{part}}"}
    for panel in panels(dashboard):
        names = {target["legendFormat"] for target in panel["targets"]}
        if panel["type"] == "timeseries" and names & closed:
            assert panel["fieldConfig"]["overrides"], panel["title"]


def test_quantiles_are_never_stacked(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if custom.get("stacking", {}).get("mode") == "normal":
            assert not any("histogram_quantile" in target["expr"] for target in panel["targets"]), panel["title"]


def test_at_most_ten_panels_may_be_empty_each_with_a_reason() -> None:
    empty = [panel for dashboard in dashboards.all_dashboards() for panel in dashboard.panels if panel.needs]
    assert len(empty) <= 10
    assert {panel.needs for panel in empty} <= set(get_args(Needs)) - {""}


def test_annotations_mark_starts_and_alerts(dashboard: dict[str, Any]) -> None:
    built_in, *others = dashboard["annotations"]["list"]
    assert built_in["builtIn"] == 1
    assert built_in["enable"]
    assert {annotation["name"] for annotation in others} == {
        "Alert that pages", "Gateway started", "Engine ready", "Stack deployed",
    }  # fmt: skip
    for annotation in others:
        assert annotation["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert annotation["useValueForTime"] == annotation["expr"].endswith("* 1000")


def test_every_query_uses_the_datasource_variable(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH"[: len(panel["targets"])])
    assert dashboard["templating"]["list"][0]["name"] == "datasource"
    assert "${DS_" not in str(dashboard)


def test_single_values_are_instant_queries_and_a_sparkline_is_another_one(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        instant = [target["instant"] for target in panel["targets"]]
        assert [target["range"] for target in panel["targets"]] == [not flag for flag in instant]
        if panel["options"].get("graphMode") == "area":
            assert instant == [False, True], panel["title"]
            course, number = (target["expr"] for target in panel["targets"])
            # The number is of now, whatever the interval between the points of its course.
            assert course != number
            assert "$__interval" not in number
        else:
            assert set(instant) <= {panel["type"] in {"stat", "table", "bargauge"}}, panel["title"]


def test_a_tile_of_the_selected_time_range_says_so_and_no_other_does(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        if panel["type"] == "stat":
            covers_range = any("$__range" in target["expr"] for target in panel["targets"])
            assert panel["title"].endswith(" (range)") == covers_range, panel["title"]


def test_threshold_steps_are_ascending(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        first, *rest = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert first["value"] is None
        values = [step["value"] for step in rest]
        assert values == sorted(values), panel["title"]


def _panel(title: str = "t", width: int = 24) -> Panel:
    return Panel("stat", title, "q?", "b", "s", width, (Query('m{job="j"}', "l"),), thresholds=Thresholds())


def test_a_row_that_does_not_fill_the_width_is_refused() -> None:
    with pytest.raises(ValueError, match="is 23 wide, not 24"):
        Dashboard("u", "U", "", (Row("", 4, (_panel(width=23),)),))


def test_duplicate_panel_titles_are_refused() -> None:
    with pytest.raises(ValueError, match="two panels have the same title"):
        Dashboard("u", "U", "", (Row("", 4, (_panel(),)), Row("", 4, (_panel(),))))


def test_a_panel_is_found_by_its_title() -> None:
    built = Dashboard("u", "U", "", (Row("R", 4, (_panel("a", 12), _panel("b", 12))),))
    (panel_id,) = (panel["id"] for panel in panels(built.json()) if panel["title"] == "b")
    assert built.panel_id("b") == panel_id
    with pytest.raises(ValueError, match="U has no panel 'c'"):
        built.panel_id("c")
