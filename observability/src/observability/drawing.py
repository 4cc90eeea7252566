"""A panel as Grafana's JSON, in the form that Grafana 9.4 writes and later ones read."""

from observability import settings
from observability.panel import Panel, Query, Thresholds

Json = dict[str, object]

# A variable, so that a dashboard can be imported into a Grafana whose Prometheus has another uid.
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


def panel(drawn: Panel, number: int, place: dict[str, int]) -> Json:
    """The JSON of a panel with its id, at a place (x, y, w, h) of the grid."""
    document: Json = {
        "id": number,
        "type": drawn.kind,
        "title": drawn.title,
        "description": drawn.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(drawn, query, chr(ord("A") + index)) for index, query in enumerate(drawn.queries)],
        "fieldConfig": {"defaults": _defaults(drawn), "overrides": _overrides(drawn)},
        "options": _options(drawn),
    }
    if drawn.smooth and drawn.kind != "stat":
        document["interval"] = f"{settings.SMOOTH_INTERVAL_SECONDS}s"
    return document


def row(title: str, number: int, y: int) -> Json:
    """A heading across the page."""
    place = {"x": 0, "y": y, "w": 24, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _target(drawn: Panel, query: Query, ref: str) -> Json:
    # A number on a tile is the answer of now: the last point of a range could be long past.
    instant = drawn.kind == "stat"
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": instant,
        "range": not instant,
    }


def _defaults(drawn: Panel) -> Json:
    defaults: Json = {
        "unit": drawn.unit,
        "noValue": drawn.nothing,
        "color": {"mode": "palette-classic" if drawn.kind == "timeseries" else "thresholds"},
        "thresholds": _thresholds(drawn.thresholds),
        "mappings": _mappings(drawn),
    }
    limits = {"min": drawn.minimum, "max": drawn.maximum, "decimals": drawn.decimals}
    defaults.update({key: value for key, value in limits.items() if value is not None})
    if drawn.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 25 if drawn.stacked else 8,
            "showPoints": "auto",  # a point between two gaps would not be seen as a line
            "spanNulls": False,
            "stacking": {"mode": "normal" if drawn.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if drawn.thresholds.steps else "off"},
        }
    elif drawn.kind == "state-timeline":
        defaults["custom"] = {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False}
    return defaults


def _thresholds(thresholds: Thresholds) -> Json:
    base: Json = {"color": thresholds.base, "value": None}
    return {"mode": "absolute", "steps": [base, *({"color": colour, "value": at} for at, colour in thresholds.steps)]}


def _mappings(drawn: Panel) -> list[Json]:
    if not drawn.words:
        return []
    options = {
        str(value): {"text": word, "color": colour, "index": index}
        for index, (value, word, colour) in enumerate(drawn.words)
    }
    return [{"type": "value", "options": options}]


def _overrides(drawn: Panel) -> list[Json]:
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in drawn.colours
    ]


def _options(drawn: Panel) -> Json:
    legend = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
    match drawn.kind:
        case "stat":
            return {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "value",
                "graphMode": "none",
                "textMode": "auto",
                "justifyMode": "auto",
                "orientation": "auto",
            }
        case "timeseries":
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "state-timeline":
            return {
                "mergeValues": True,
                "showValue": "auto",
                "alignValue": "left",
                "rowHeight": 0.85,
                "legend": legend,
                "tooltip": {"mode": "single", "sort": "none"},
            }
