"""The `options` of a panel: what only its kind has, such as legend, tooltip and which of many values to show."""

import re
from collections.abc import Callable

from observability.panel import Kind, Panel

Json = dict[str, object]

# Labels with an open set of values: there may be many, with long names.
_OPEN_ENDED_LABELS = frozenset({"model", "key", "instance", "engine", "gpu", "job", "vm", "route", "name"})
_LABEL = re.compile(r"\{\{(\w+)\}\}")
_LATEST: Json = {
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "orientation": "auto",
}
# Fixed, or Grafana fills the tile: "up" would be four times as large as the number beside it.
_STAT_TEXT: Json = {"titleSize": 14, "valueSize": 22}


def panel_options(panel: Panel) -> Json:
    """The options of a panel of any kind."""
    return _BY_KIND[panel.kind](panel)


def _stat(panel: Panel) -> Json:
    graph_mode = "area" if panel.sparkline else "none"
    latest: Json = {**_LATEST, "reduceOptions": {"calcs": ["last"], "fields": "", "values": False}}
    style = {"colorMode": "value", "graphMode": graph_mode, "textMode": "auto", "justifyMode": "auto"}
    return {**(latest if panel.sparkline else _LATEST), **style, "text": _STAT_TEXT}


def _bargauge(_: Panel) -> Json:
    return {**_LATEST, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True}


def _timeseries(panel: Panel) -> Json:
    return {"legend": _legend(panel), "tooltip": {"mode": "multi", "sort": "desc"}}


def _heatmap(panel: Panel) -> Json:
    return {
        "calculate": False,  # the buckets are the rows
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Blues", "scale": "exponential", "exponent": 0.5, "steps": 64},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"show": True, "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "unit": panel.unit},
    }


def _state_timeline(_: Panel) -> Json:
    return {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.85,
        # The text in the bars and their colours say it already.
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "single", "sort": "none"},
    }


def _table(panel: Panel) -> Json:
    # Sorted by the first number, largest first.
    sort_by = [{"displayName": panel.queries[0].legend, "desc": True}]
    return {"showHeader": True, "footer": {"show": False}, "cellHeight": "sm", "sortBy": sort_by}


def _alertlist(_: Panel) -> Json:
    return {
        "viewMode": "list",
        "groupMode": "default",
        "groupBy": [],
        "maxItems": 20,
        "sortOrder": 3,  # by importance
        "dashboardAlerts": False,
        "alertName": "",
        "alertInstanceLabelFilter": "",
        "stateFilter": {"firing": True, "pending": False, "noData": False, "normal": False, "error": True},
    }


def _legend(panel: Panel) -> Json:
    """Hidden for one series, a line of names for a few, a scrolling table where names are many or long."""
    labels = {label for query in panel.queries for label in _LABEL.findall(query.legend)}
    shown = len(panel.queries) > 1 or bool(labels)
    table = bool(labels & _OPEN_ENDED_LABELS)
    return {
        "showLegend": shown,
        "displayMode": "table" if table else "list",
        "placement": "bottom",
        "calcs": ["lastNotNull", "max"] if table else [],
    }


_BY_KIND: dict[Kind, Callable[[Panel], Json]] = {
    "stat": _stat,
    "bargauge": _bargauge,
    "timeseries": _timeseries,
    "heatmap": _heatmap,
    "state-timeline": _state_timeline,
    "table": _table,
    "alertlist": _alertlist,
}
