"""A panel as Grafana's JSON, in the format of Grafana 9.4, which later versions read too."""

from observability import links, settings, tables, variables
from observability.panel import GREY, INSTANT_KINDS, MODEL_TEXTS, Panel, Query, Thresholds
from observability.panel_options import panel_options

Json = dict[str, object]

DATASOURCE: Json = {"type": "prometheus", "uid": variables.DATASOURCE_UID}

# Soft maximum of an axis by unit: without one Grafana draws a row of zeros on an axis up to 100, and puts fractions
# beside counts.
_SOFT_MAX = {"reqps": 0.1, "ops": 0.1, "percentunit": 0.01, "short": 5, "tokens/s": 1, "events/s": 1, "x": 1}
# Points of a graph: one for every two or three pixels of a wide screen is as many as the eye tells apart, and each one
# more is paid for in each query of each refresh.
_POINTS_PER_COLUMN, _SPARKLINE_POINTS = 25, 50
# Of a single number they decide, with its range, which recorded series it reads (see `downsampling`): those of long
# steps from two and a half days on.
_NUMBER_POINTS = 300
_HEATMAP_COLUMNS, _HEATMAP_MIN_INTERVAL = 120, "1m"
_FORMATS = {"table": "table", "heatmap": "heatmap"}


def panel_json(panel: Panel, panel_id: int, grid_pos: dict[str, int], variable_names: tuple[str, ...] = ()) -> Json:
    """The JSON of a panel; `grid_pos` is x, y, w and h on the grid, `variable_names` those of its dashboard."""
    document: Json = {
        "id": panel_id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": grid_pos,
        "targets": _targets(panel),
        "maxDataPoints": _points(panel),
        "fieldConfig": {
            "defaults": _defaults(panel),
            "overrides": [*_overrides(panel), *tables.column_overrides(panel, variable_names)],
        },
        "options": panel_options(panel),
    }
    if panel.kind == "table":
        document["transformations"] = tables.transformations(panel)
    if panel.drilldown and panel.kind != "stat":
        document["links"] = [_link(panel.drilldown)]
    if panel.sparkline:
        document["transformations"] = [{"id": "merge", "options": {}}]
    if panel.kind == "heatmap":
        document["interval"] = _HEATMAP_MIN_INTERVAL
    if panel.smooth and panel.kind not in INSTANT_KINDS:
        document["interval"] = f"{settings.SMOOTH_INTERVAL_SECONDS}s"
    return document


def duration(seconds: int) -> str:
    """As Grafana's list of refresh intervals has it: whole minutes in minutes."""
    return f"{seconds}s" if seconds % 60 else f"{seconds // 60}m"


def row_json(title: str, row_id: int, y: int, collapsed_panels: list[Json] | None = None) -> Json:
    """The JSON of a row heading; a collapsed row contains its panels."""
    return {
        "id": row_id,
        "type": "row",
        "title": title,
        "collapsed": collapsed_panels is not None,
        "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
        "panels": collapsed_panels or [],
    }


def _points(panel: Panel) -> int:
    if panel.kind == "heatmap":
        return _HEATMAP_COLUMNS
    if panel.kind in INSTANT_KINDS:
        return _SPARKLINE_POINTS if panel.sparkline else _NUMBER_POINTS
    return _POINTS_PER_COLUMN * panel.width


def _targets(panel: Panel) -> list[Json]:
    # A single number is the current value: the last point of a range could be long past.
    instant = panel.kind in INSTANT_KINDS
    queries = [(query, instant) for query in panel.queries]
    if panel.sparkline:
        # First, since the last row is the number; a query of its own, since a course ends up to a step ago.
        queries.insert(0, (Query(panel.sparkline, panel.queries[0].legend), False))
    return [_target(panel, query, _ref_id(index), instant=now) for index, (query, now) in enumerate(queries)]


def _ref_id(index: int) -> str:
    return chr(ord("A") + index)


def _target(panel: Panel, query: Query, ref_id: str, *, instant: bool) -> Json:
    # Grafana derives $__rate_interval from it: four steps at least.
    interval = {"interval": f"{panel.step_seconds}s"} if panel.step_seconds and not instant else {}
    return {
        **interval,
        "refId": ref_id,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": _FORMATS.get(panel.kind, "time_series"),
        "instant": instant,
        "range": not instant,
    }


def _link(uid: str) -> Json:
    return {"title": f"Open {links.TITLES[uid]}", "url": links.dashboard_url(uid), "targetBlank": False}


def _defaults(panel: Panel) -> Json:
    defaults: Json = {
        "unit": panel.unit,
        "noValue": panel.no_value,
        "color": _colour_mode(panel),
        "thresholds": _thresholds(panel.thresholds),
        "mappings": _mappings(panel),
    }
    limits = {"min": panel.minimum, "max": panel.maximum, "decimals": panel.decimals}
    defaults.update({key: value for key, value in limits.items() if value is not None})
    if panel.drilldown and panel.kind == "stat":
        defaults["links"] = [_link(panel.drilldown)]  # makes the number itself a link
    if panel.kind == "timeseries":
        custom: Json = {
            "drawStyle": "line",
            # In a stack the line of a zero would lie on its neighbour's, in a colour that means something else.
            "lineWidth": 0 if panel.stacked else 1,
            "fillOpacity": 70 if panel.stacked else 8,
            "showPoints": "auto",  # a single point between two gaps is invisible as a line
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.thresholds.steps else "off"},
        }
        soft_max = panel.soft_max or _SOFT_MAX.get(panel.unit)
        if soft_max and panel.maximum is None:
            custom["axisSoftMax"] = soft_max
        defaults["custom"] = custom
    elif panel.kind == "heatmap":
        defaults["custom"] = {"scaleDistribution": {"type": "linear"}}
    elif panel.kind == "state-timeline":
        defaults["custom"] = {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False}
    elif panel.kind == "table":
        defaults["custom"] = {"align": "auto", "minWidth": 70}  # the default, 150, cuts columns off
    return defaults


def _colour_mode(panel: Panel) -> Json:
    match panel.kind:
        case "timeseries":
            return {"mode": "palette-classic"}
        case "state-timeline":
            # Value mappings bring their colours; with "thresholds" Grafana 9.4 merges bars by those and drops the text.
            return {"mode": "fixed", "fixedColor": "text"}
        case _:
            return {"mode": "thresholds"}


def _thresholds(thresholds: Thresholds) -> Json:
    base: Json = {"color": thresholds.base, "value": None}
    steps = [{"color": colour, "value": value} for value, colour in thresholds.steps]
    return {"mode": "absolute", "steps": [base, *steps]}


def _mappings(panel: Panel) -> list[Json]:
    """Text for values; on a stat for no value too, which would otherwise take the colour of the best or the worst."""
    empty = {
        "match": "null+nan",
        "result": {"text": panel.no_value, "color": GREY, "index": len(panel.value_mappings)},
    }
    no_value: list[Json] = [{"type": "special", "options": empty}] if panel.kind == "stat" else []
    if not panel.value_mappings:
        return no_value
    mappings = {
        str(value): {"text": text, "color": colour, "index": index}
        for index, (value, text, colour) in enumerate(panel.value_mappings)
    }
    return [{"type": "value", "options": mappings}, *no_value]


def _overrides(panel: Panel) -> list[Json]:
    """Colours by name, then the colours and line styles of single queries."""
    named: list[Json] = [
        {
            "matcher": {"id": "byRegexp" if name.startswith("/") else "byName", "options": name},
            "properties": [_fixed_colour(colour)],
        }
        for name, colour in panel.colours
    ]
    models: list[Json] = [
        {
            "matcher": {"id": "byName", "options": query.legend.replace("{{model}}", label)},
            "properties": [{"id": "displayName", "value": query.legend.replace("{{model}}", text)}],
        }
        for query in panel.queries
        if "{{model}}" in query.legend
        for label, text, _ in MODEL_TEXTS
    ]
    styled: list[Json] = [
        _query_override(query, _ref_id(index))
        for index, query in enumerate(panel.queries)
        if query.dashed or query.colour
    ]
    return [*named, *models, *styled]


def _query_override(query: Query, ref_id: str) -> Json:
    properties: list[Json] = [_fixed_colour(query.colour)] if query.colour else []
    if query.dashed:
        properties += [
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
            {"id": "custom.lineWidth", "value": 2},
            {"id": "custom.fillOpacity", "value": 0},
            {"id": "custom.stacking", "value": {"mode": "none", "group": "A"}},
        ]
    return {"matcher": {"id": "byFrameRefID", "options": ref_id}, "properties": properties}


def _fixed_colour(colour: str) -> Json:
    return {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}
