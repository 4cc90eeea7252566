"""A panel as Grafana's JSON, in the form that Grafana 9.4 writes and later ones read."""

from observability import links, options, settings, tables
from observability.panel import GREY, OF_NOW, Panel, Query, Thresholds

Json = dict[str, object]

# A variable, so that a dashboard can be imported into a Grafana whose Prometheus has another uid.
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

# An axis reaches at least so far, by its unit: else Grafana draws a row of zeros on one that goes to 100, and puts
# fractions beside counts.
_LOW = {"reqps": 0.1, "ops": 0.1, "percentunit": 0.01, "short": 5, "tokens/s": 1, "events/s": 1, "x": 1}


def panel(drawn: Panel, number: int, place: dict[str, int], choices: tuple[str, ...] = ()) -> Json:
    """The JSON of a panel with its id, at a place (x, y, w, h) of the grid; `choices` are its dashboard's variables."""
    document: Json = {
        "id": number,
        "type": drawn.kind,
        "title": drawn.title,
        "description": drawn.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(drawn, query, chr(ord("A") + index)) for index, query in enumerate(drawn.queries)],
        "fieldConfig": {"defaults": _defaults(drawn), "overrides": [*_colours(drawn), *tables.columns(drawn, choices)]},
        "options": options.of(drawn),
    }
    if drawn.kind == "table":
        document["transformations"] = tables.transformations(drawn)
    if drawn.opens and drawn.kind != "stat":
        document["links"] = [_link(drawn.opens)]
    if drawn.smooth and drawn.kind not in OF_NOW:
        document["interval"] = f"{settings.SMOOTH_INTERVAL_SECONDS}s"
    return document


def row(title: str, number: int, y: int, hidden: list[Json] | None = None) -> Json:
    """A heading across the page; the panels that it hides until it is clicked belong to it."""
    place = {"x": 0, "y": y, "w": 24, "h": 1}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": hidden is not None,
        "gridPos": place,
        "panels": hidden or [],
    }


def _target(drawn: Panel, query: Query, ref: str) -> Json:
    # A number on a tile is the answer of now: the last point of a range could be long past.
    instant = drawn.kind in OF_NOW
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": "table" if drawn.kind == "table" else "time_series",
        "instant": instant,
        "range": not instant,
    }


def _link(uid: str) -> Json:
    return {"title": f"Open {links.TITLES[uid]}", "url": links.keeping_all(uid), "targetBlank": False}


def _defaults(drawn: Panel) -> Json:
    defaults: Json = {
        "unit": drawn.unit,
        "noValue": drawn.nothing,
        "color": _colour(drawn),
        "thresholds": _thresholds(drawn.thresholds),
        "mappings": _mappings(drawn),
    }
    limits = {"min": drawn.minimum, "max": drawn.maximum, "decimals": drawn.decimals}
    defaults.update({key: value for key, value in limits.items() if value is not None})
    if drawn.opens and drawn.kind == "stat":
        defaults["links"] = [_link(drawn.opens)]  # the number itself can be clicked
    if drawn.kind == "timeseries":
        custom: Json = {
            "drawStyle": "line",
            # In a stack the line of what is 0 would lie upon its neighbour's, in a colour that means something.
            "lineWidth": 0 if drawn.stacked else 1,
            "fillOpacity": 70 if drawn.stacked else 8,
            "showPoints": "auto",  # a point between two gaps would not be seen as a line
            "spanNulls": False,
            "stacking": {"mode": "normal" if drawn.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if drawn.thresholds.steps else "off"},
        }
        reaches = drawn.reaches or _LOW.get(drawn.unit)
        if reaches and drawn.maximum is None:
            custom["axisSoftMax"] = reaches
        defaults["custom"] = custom
    elif drawn.kind == "state-timeline":
        defaults["custom"] = {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False}
    elif drawn.kind == "table":
        defaults["custom"] = {"align": "auto", "minWidth": 70}  # 150 by default: columns would be cut off
    return defaults


def _colour(drawn: Panel) -> Json:
    match drawn.kind:
        case "timeseries":
            return {"mode": "palette-classic"}
        case "state-timeline":
            # Words bring their own colours; with "thresholds" Grafana 9.4 merges bars by these and forgets words.
            return {"mode": "fixed", "fixedColor": "text"}
        case _:
            return {"mode": "thresholds"}


def _thresholds(thresholds: Thresholds) -> Json:
    base: Json = {"color": thresholds.base, "value": None}
    return {"mode": "absolute", "steps": [base, *({"color": colour, "value": at} for at, colour in thresholds.steps)]}


def _mappings(drawn: Panel) -> list[Json]:
    """Words for numbers; on a tile also for none, which else would have the colour of what is best, or worst."""
    empty = {"match": "null", "result": {"text": drawn.nothing, "color": GREY, "index": len(drawn.words)}}
    none: list[Json] = [{"type": "special", "options": empty}] if drawn.kind == "stat" else []
    if not drawn.words:
        return none
    words = {
        str(value): {"text": word, "color": colour, "index": index}
        for index, (value, word, colour) in enumerate(drawn.words)
    }
    return [{"type": "value", "options": words}, *none]


def _colours(drawn: Panel) -> list[Json]:
    return [
        {
            "matcher": {"id": "byRegexp" if name.startswith("/") else "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in drawn.colours
    ]
