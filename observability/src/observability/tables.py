"""A table: the answers of several queries joined by their labels, one row for each combination."""

from observability import links
from observability.panel import Panel

_NAME_WIDTH = 190  # pixels: a name is longer than a number
Json = dict[str, object]


def transformations(drawn: Panel) -> list[Json]:
    """Joins the queries by what they have in common, orders the columns and gives them their headings."""
    values = _value_fields(drawn)
    # What it is, then its numbers, then whatever else tells it apart: a narrow screen shows the first two or three.
    first, *others = (key.label for key in drawn.keys)
    order = [first, *values, *others]
    names = {key.label: key.title for key in drawn.keys} | {
        field: query.legend for field, query in zip(values, drawn.queries, strict=True)
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


def columns(drawn: Panel, choices: tuple[str, ...]) -> list[Json]:
    """The units of columns, and where a click on a label leads."""
    if drawn.kind != "table":
        return []
    # An empty cell among full ones needs no sentence.
    blank = [_override(query.legend, {"id": "noValue", "value": "–"}) for query in drawn.queries]  # noqa: RUF001 -- a dash
    units = [_override(query.legend, {"id": "unit", "value": query.unit}) for query in drawn.queries if query.unit]
    # A label is no number: 3 is the name of an engine and not "3.00".
    texts = [_override(key.title, {"id": "unit", "value": "string"}) for key in drawn.keys]
    opened = [
        _override(
            key.title,
            {
                "id": "links",
                "value": [
                    {
                        "title": f"Open {links.TITLES[key.opens]} for it",
                        "url": links.choosing(key.opens, key.variable, choices),
                        "targetBlank": False,
                    }
                ],
            },
        )
        for key in drawn.keys
        if key.opens
    ]
    first, *others = drawn.keys
    widths = [(first.title, first.width or _NAME_WIDTH), *((key.title, key.width) for key in others if key.width)]
    fixed = [_override(title, {"id": "custom.width", "value": width}) for title, width in widths]
    return [*blank, *fixed, *units, *texts, *opened]


def _value_fields(drawn: Panel) -> list[str]:
    """Grafana's names for the numbers: by their query, but for a single one."""
    if len(drawn.queries) == 1:
        return ["Value"]
    return [f"Value #{chr(ord('A') + index)}" for index in range(len(drawn.queries))]


def _override(column: str, what: Json) -> Json:
    return {"matcher": {"id": "byName", "options": column}, "properties": [what]}
