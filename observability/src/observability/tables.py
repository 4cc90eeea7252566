"""The JSON that only tables have: several queries joined by their labels, one row for each combination."""

from observability import links
from observability.panel import MODEL_TEXTS, Key, Panel

_NAME_WIDTH = 190  # pixels: a name is longer than a number
Json = dict[str, object]


def transformations(panel: Panel) -> list[Json]:
    """Joins the queries by their common labels, orders the columns and names them."""
    values = _value_fields(panel)
    # The first key, then the numbers, then the other keys: a narrow screen shows two or three columns.
    first, *others = (key.label for key in panel.keys)
    order = [first, *values, *others]
    names = {key.label: key.title for key in panel.keys} | {
        field: query.legend for field, query in zip(values, panel.queries, strict=True)
    }
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {name: index for index, name in enumerate(order)},
                "renameByName": names,
            },
        },
    ]


def column_overrides(panel: Panel, variables: tuple[str, ...]) -> list[Json]:
    """The units of columns, and the links of labels."""
    if panel.kind != "table":
        return []
    # An empty cell among others needs no sentence.
    blank = [_override(query.legend, {"id": "noValue", "value": "–"}) for query in panel.queries]  # noqa: RUF001 -- a dash
    units = [_override(query.legend, {"id": "unit", "value": query.unit}) for query in panel.queries if query.unit]
    # A label is not a number: an engine called 3 is not "3.00".
    texts = [_override(key.title, {"id": "unit", "value": "string"}) for key in panel.keys]
    cell_links = [
        _override(key.title, {"id": "links", "value": [_cell_link(key, variables)]})
        for key in panel.keys
        if key.drilldown or key.url
    ]
    named = [
        _override(key.title, setting)
        for key in panel.keys
        if (other_texts := key.texts or (MODEL_TEXTS if key.label == "model" else ()))
        for setting in _label_texts(other_texts)
    ]
    first, *others = panel.keys
    widths = [(first.title, first.width or _NAME_WIDTH), *((key.title, key.width) for key in others if key.width)]
    fixed = [_override(title, {"id": "custom.width", "value": width}) for title, width in widths]
    return [*blank, *fixed, *units, *texts, *named, *cell_links]


def _cell_link(key: Key, variables: tuple[str, ...]) -> Json:
    if key.url:
        return {"title": key.link, "url": key.url, "targetBlank": True}
    return {
        "title": f"Open {links.TITLES[key.drilldown]} for it",
        "url": links.filtered_url(key.drilldown, key.variable, variables),
        "targetBlank": False,
    }


def _label_texts(texts: tuple[tuple[str, str, str], ...]) -> list[Json]:
    """Other texts for labels, in the colours of those that have one."""
    options = {
        label: {"text": text, "index": index, **({"color": colour} if colour else {})}
        for index, (label, text, colour) in enumerate(texts)
    }
    mappings: list[Json] = [{"id": "mappings", "value": [{"type": "value", "options": options}]}]
    coloured = any(colour for *_, colour in texts)
    # Grafana 9.4 reads displayMode, and later versions turn it into cellOptions.
    return [*mappings, {"id": "custom.displayMode", "value": "color-text"}] if coloured else mappings


def _value_fields(panel: Panel) -> list[str]:
    """Grafana's names of the value fields: by query, unless there is only one."""
    if len(panel.queries) == 1:
        return ["Value"]
    return [f"Value #{chr(ord('A') + index)}" for index in range(len(panel.queries))]


def _override(column: str, setting: Json) -> Json:
    return {"matcher": {"id": "byName", "options": column}, "properties": [setting]}
