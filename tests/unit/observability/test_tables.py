from typing import Any

from observability import tables
from observability.links import GATEWAY
from observability.panel import RED, Key, Panel, Query, table

KEYS = (Key("model", "Model", GATEWAY, "model"), Key("vm", "VM", width=80))


def two_columns() -> Panel:
    queries = (Query('a{job="j"}', "Requests", "reqps"), Query('b{job="j"}', "In flight"))
    return table("T", "Q?", "b.", "short", 24, queries, keys=KEYS)


def properties(column: str) -> dict[str, Any]:
    overrides: list[Any] = tables.column_overrides(two_columns(), ("vm", "model"))
    return {
        setting["id"]: setting["value"]
        for override in overrides
        if override["matcher"]["options"] == column
        for setting in override["properties"]
    }


def test_the_first_key_comes_first_then_the_numbers_then_the_other_keys() -> None:
    organize: Any = tables.transformations(two_columns())[1]["options"]
    assert list(organize["indexByName"]) == ["model", "Value #A", "Value #B", "vm"]
    assert organize["renameByName"]["Value #A"] == "Requests"


def test_a_single_query_has_an_unnumbered_value_field() -> None:
    panel = table("T", "Q?", "b.", "short", 24, (Query('a{job="j"}', "Requests"),), keys=KEYS)
    organize: Any = tables.transformations(panel)[1]["options"]
    assert "Value" in organize["indexByName"]


def test_columns_have_units_and_labels_are_text() -> None:
    assert properties("Requests") == {"noValue": "–", "unit": "reqps"}  # noqa: RUF001 -- a dash
    assert properties("In flight") == {"noValue": "–"}  # noqa: RUF001 -- a dash
    assert properties("VM") == {"custom.width": 80, "unit": "string"}


def test_labels_have_other_texts_and_colours() -> None:
    (models,) = properties("Model")["mappings"]
    assert models["options"]["none"]["text"] == "(no model)"
    texts = (("page", "act now", RED),)
    severity = Key("severity", "Severity", url="/alerting/list?search=${__value.raw}", texts=texts)
    panel = table("T", "Q?", "b.", "short", 24, (Query('a{job="j"}', "Since"),), keys=(severity,))
    overrides: list[Any] = tables.column_overrides(panel, ())
    found = {part["id"]: part["value"] for override in overrides for part in override["properties"]}
    assert found["mappings"][0]["options"]["page"] == {"text": "act now", "index": 0, "color": RED}
    assert found["custom.displayMode"] == "color-text"
    assert found["links"][0]["url"] == "/alerting/list?search=${__value.raw}"


def test_a_key_with_a_drilldown_links_to_it() -> None:
    (link,) = properties("Model")["links"]
    assert link["title"] == "Open Gateway for it"
    assert link["url"].endswith("&var-model=${__value.raw}")
