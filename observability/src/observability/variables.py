"""What a reader chooses at the top of a dashboard: the Prometheus, and which models, engines and gateways."""

from observability.drawing import DATASOURCE, Json
from observability.promql import Scope

_EVERYTHING = ".*"

FILTERS = {"model": "$model", "engine": "$engine", "instance": "$instance"}
# Graphs: the rate around each point. $__rate_interval follows from the datasource's timeInterval.
AT_EACH_POINT = Scope("$__rate_interval", FILTERS)
# Tiles that judge: the whole time that the reader has chosen.
OVER_THE_PAGE = Scope("$__range", FILTERS)


def all_of_them() -> list[Json]:
    """The variables, as Grafana keeps them."""
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "hide": 0,
            "includeAll": False,
            "multi": False,
            "options": [],
            "refresh": 1,
            "regex": "",
        },
        _labels("model", "Model", 'label_values(gateway_requests_started_total{job="gateway"}, model)'),
        _labels("engine", "Engine", 'label_values(gateway_engine_state{job="gateway"}, engine)'),
        _labels("instance", "Gateway", 'label_values(gateway_worker_up{job="gateway"}, instance)'),
    ]


def _labels(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"Variable-{name}"},
        "refresh": 2,  # when the time range changes: a model that was served only yesterday can be chosen then
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": _EVERYTHING,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "regex": "",
    }
