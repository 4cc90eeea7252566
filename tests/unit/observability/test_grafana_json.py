from typing import Any

import pytest

from observability.grafana_json import panel_json, row_json
from observability.links import ENGINE
from observability.panel import GREY, RED, Panel, Query, Thresholds, graph, heatmap, stat, timeline

GRID_POS = {"x": 0, "y": 0, "w": 24, "h": 8}


def rendered(panel: Panel) -> Any:
    return panel_json(panel, 7, GRID_POS)


def drawn_graph(*legends: str, **options: Any) -> Any:
    queries = tuple(Query('m{job="j"}', legend) for legend in legends)
    return rendered(graph("T", "Q?", "b.", "reqps", 24, queries, **options))


def test_a_panel_has_its_id_place_and_queries() -> None:
    document = drawn_graph("a", "b")
    assert (document["id"], document["gridPos"], document["type"]) == (7, GRID_POS, "timeseries")
    assert [(target["refId"], target["legendFormat"]) for target in document["targets"]] == [("A", "a"), ("B", "b")]


@pytest.mark.parametrize(
    ("legends", "shown", "mode"),
    [
        (("one",), False, "list"),
        (("a", "b"), True, "list"),
        (("{{outcome}}",), True, "list"),
        (("{{key}}",), True, "table"),
    ],
)
def test_the_legend_suits_the_number_and_length_of_names(legends: tuple[str, ...], shown: bool, mode: str) -> None:
    legend = drawn_graph(*legends)["options"]["legend"]
    assert (legend["showLegend"], legend["displayMode"]) == (shown, mode)


def test_an_axis_reaches_its_soft_maximum_unless_a_maximum_is_set() -> None:
    assert drawn_graph("a")["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] == 0.1
    assert drawn_graph("a", soft_max=10)["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] == 10
    assert "axisSoftMax" not in drawn_graph("a", maximum=1)["fieldConfig"]["defaults"]["custom"]


def test_stacked_graphs_have_no_lines_that_could_cover_one_another() -> None:
    custom = drawn_graph("a", "b", stacked=True)["fieldConfig"]["defaults"]["custom"]
    assert (custom["lineWidth"], custom["stacking"]["mode"]) == (0, "normal")


def test_a_stat_maps_no_value_to_a_neutral_text_and_links_from_its_number() -> None:
    document = rendered(
        stat(
            "T",
            "Q?",
            "b.",
            "none",
            'm{job="j"}',
            no_value="Unknown",
            value_mappings=((0, "down", RED),),
            drilldown=ENGINE,
        )
    )
    defaults = document["fieldConfig"]["defaults"]
    values, empty = defaults["mappings"]
    assert values["options"]["0"] == {"text": "down", "color": RED, "index": 0}
    assert empty["options"]["result"] == {"text": "Unknown", "color": GREY, "index": 1}
    assert defaults["links"][0]["title"] == "Open Engine"
    assert "links" not in document


def test_threshold_steps_follow_the_base_colour() -> None:
    document = drawn_graph("a", thresholds=Thresholds.high_is_bad(1, 2))
    steps = document["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 1, 2]


def test_a_state_timeline_takes_its_colours_from_mappings_alone() -> None:
    document = rendered(timeline("T", "Q?", "b.", "none", 24, (Query('m{job="j"}', "l"),)))
    assert document["fieldConfig"]["defaults"]["color"]["mode"] == "fixed"


def test_a_dashed_query_has_a_line_of_its_own_and_is_never_stacked() -> None:
    queries = (Query('m{job="j"}', "{{model}}"), Query('m{job="j"}', "limit of {{model}}", dashed=True, colour=RED))
    overrides = rendered(graph("T", "Q?", "b.", "short", 24, queries, stacked=True))["fieldConfig"]["overrides"]
    (override,) = (each for each in overrides if each["matcher"] == {"id": "byFrameRefID", "options": "B"})
    properties = {part["id"]: part["value"] for part in override["properties"]}
    assert properties["color"] == {"mode": "fixed", "fixedColor": RED}
    assert properties["custom.lineStyle"]["fill"] == "dash"
    assert (properties["custom.fillOpacity"], properties["custom.stacking"]["mode"]) == (0, "none")


def test_models_without_a_series_of_their_own_are_named_for_readers() -> None:
    overrides = drawn_graph("{{model}} p95")["fieldConfig"]["overrides"]
    names = {override["matcher"]["options"]: override["properties"][0]["value"] for override in overrides}
    assert names == {"none p95": "(no model) p95", "other p95": "(unknown model) p95"}


def test_a_heatmap_reads_buckets_in_few_columns() -> None:
    document = rendered(heatmap("T", "Q?", "b.", "s", 24, (Query('m_bucket{job="j"}', "{{le}}"),)))
    assert [target["format"] for target in document["targets"]] == ["heatmap"]
    assert document["options"]["calculate"] is False
    assert document["options"]["yAxis"]["unit"] == "s"
    assert document["maxDataPoints"] <= 200


def test_a_sparkline_is_merged_with_the_number_behind_it() -> None:
    document = rendered(stat("T", "Q?", "b.", "s", 'm{job="j"}', sparkline='c{job="j"}'))
    assert [(target["instant"], target["range"]) for target in document["targets"]] == [(False, True), (True, False)]
    assert document["options"]["graphMode"] == "area"
    # The last row is the number, also where it is NaN, which has a text.
    assert document["options"]["reduceOptions"]["calcs"] == ["last"]
    assert document["fieldConfig"]["defaults"]["mappings"][-1]["options"]["match"] == "null+nan"
    assert [step["id"] for step in document["transformations"]] == ["merge"]


def test_numbers_and_texts_of_tiles_have_the_same_size() -> None:
    texts = [
        rendered(stat("T", "Q?", "b.", "none", 'm{job="j"}', value_mappings=mappings))["options"]["text"]
        for mappings in ((), ((0, "down", RED),))
    ]
    assert texts[0] == texts[1]
    assert texts[0]["valueSize"] > texts[0]["titleSize"] > 0


def test_a_graph_of_recorded_series_has_at_least_the_interval_of_their_evaluation() -> None:
    assert drawn_graph("a", step_seconds=60)["targets"][0]["interval"] == "60s"
    assert "interval" not in drawn_graph("a")["targets"][0]


def test_smooth_graphs_have_a_minimum_interval() -> None:
    assert drawn_graph("a", smooth=True)["interval"] == "30s"
    assert "interval" not in drawn_graph("a")


def test_a_collapsed_row_contains_its_panels() -> None:
    assert row_json("R", 1001, 3)["collapsed"] is False
    hidden = row_json("R", 1001, 3, [{"id": 1}])
    assert (hidden["collapsed"], hidden["panels"]) == (True, [{"id": 1}])
