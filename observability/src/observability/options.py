"""What each kind of panel is told besides its data: legend, tooltip, which value of many."""

import re

from observability.panel import Panel

Json = dict[str, object]

# Labels whose values nobody can list beforehand: there may be many, with long names.
_OPEN_ENDED = frozenset({"model", "key", "instance", "engine", "gpu", "job", "vm", "route", "name"})
_LABEL = re.compile(r"\{\{(\w+)\}\}")


def of(drawn: Panel) -> Json:
    """The `options` of a panel's JSON."""
    match drawn.kind:
        case "stat":
            return {**_LATEST, "colorMode": "value", "graphMode": "none", "textMode": "auto", "justifyMode": "auto"}
        case "bargauge":
            return {**_LATEST, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True}
        case "timeseries":
            return {"legend": legend(drawn), "tooltip": {"mode": "multi", "sort": "desc"}}
        case "state-timeline":
            return {
                "mergeValues": True,
                "showValue": "auto",
                "alignValue": "left",
                "rowHeight": 0.85,
                # The words in the bars and their colours say it already.
                "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
                "tooltip": {"mode": "single", "sort": "none"},
            }
        case "table":
            return {"showHeader": True, "footer": {"show": False}, "cellHeight": "sm", "sortBy": _sorting(drawn)}
        case "alertlist":
            return {
                "viewMode": "list",
                "groupMode": "default",
                "groupBy": [],
                "maxItems": 20,
                "sortOrder": 3,  # what matters most comes first
                "dashboardAlerts": False,
                "alertName": "",
                "alertInstanceLabelFilter": "",
                "stateFilter": {"firing": True, "pending": False, "noData": False, "normal": False, "error": True},
            }


def legend(drawn: Panel) -> Json:
    """None for one series, a line of names for a few, and a table that scrolls where names are many or long."""
    labels = {label for query in drawn.queries for label in _LABEL.findall(query.legend)}
    shown = len(drawn.queries) > 1 or bool(labels)
    table = bool(labels & _OPEN_ENDED)
    return {
        "showLegend": shown,
        "displayMode": "table" if table else "list",
        "placement": "bottom",
        "calcs": ["lastNotNull", "max"] if table else [],
    }


_LATEST: Json = {
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "orientation": "auto",
}


def _sorting(drawn: Panel) -> list[Json]:
    """The first number decides, the greatest on top."""
    return [{"displayName": drawn.queries[0].legend, "desc": True}]
