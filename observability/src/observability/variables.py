"""Dashboard variables: the Prometheus, and which VMs, models, engines, keys and GPUs to show."""

from observability import settings
from observability.promql import Scope

Json = dict[str, object]

# A variable, so that a dashboard can be imported into a Grafana whose Prometheus has another uid.
DATASOURCE_UID = "${datasource}"
ALL_VALUE = ".*"
# Between two points. Grafana makes it from the range and the number of points, and gives it to single numbers too.
_INTERVAL = "$__interval"

# Name → label, and the query of its values. The VM comes first: it filters the other lists.
_VARIABLES = {
    "vm": ("VM", f'label_values(up{{job=~".+", vm!="{settings.DRILL_VM}"}}, vm)'),
    "model": ("Model", 'label_values(gateway_requests_started_total{job="gateway", vm=~"$vm"}, model)'),
    "engine": ("Engine", 'label_values(gateway_engine_state{job="gateway", vm=~"$vm"}, engine)'),
    "instance": ("Engine server", 'label_values(up{job=~"vllm|llamacpp", vm=~"$vm"}, instance)'),
    "key": ("Key", 'label_values(gateway_key_requests_total{job="gateway", vm=~"$vm"}, key)'),
    "gpu": ("GPU", 'label_values(DCGM_FI_DEV_FB_TOTAL{job="gpu-exporter", vm=~"$vm"}, gpu)'),
}

# Objectives that the reader chooses among bounds of buckets, where a share is exact: label, bounds, default.
_OBJECTIVES = {"ttft_objective": ("TTFT objective (s)", ("0.5", "1.0", "1.5", "2.0", "2.5", "5.0", "10.0"), "2.5")}

NAMES = tuple(_VARIABLES)
OBJECTIVES = {name: bounds for name, (_, bounds, _) in _OBJECTIVES.items()}


class Variables:
    """The variables of one dashboard, and the scopes of its queries that follow from them."""

    def __init__(self, *names: str) -> None:
        self.names = names
        filters = {name: f"${name}" for name in names if name in _VARIABLES}
        # Graphs: the rate around each point. Grafana derives $__rate_interval from the datasource's timeInterval.
        # Gauges by their extremes, so that no peak between two points is missed.
        self.per_interval = Scope("$__rate_interval", filters, extremes=True, without_drill=True)
        # Stats with thresholds: the whole time range that the reader has chosen.
        self.full_range = Scope("$__range", filters, interval=_INTERVAL, without_drill=True)
        # Stats of the current value.
        self.now = Scope("1m", filters, without_drill=True)
        # Stats of the last five minutes: long enough for a ratio or a quantile of few requests.
        self.recent = Scope("5m", filters, without_drill=True)
        # Heatmaps: each cell counts the requests of its own interval.
        self.per_cell = Scope(_INTERVAL, filters, interval=_INTERVAL, without_drill=True)


def variables_json(names: tuple[str, ...]) -> list[Json]:
    """The variables as Grafana's JSON; the data source is always one of them."""
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
        *(
            _label_variable(name, *_VARIABLES[name]) if name in _VARIABLES else _objective(name, *_OBJECTIVES[name])
            for name in names
        ),
    ]


def _label_variable(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": DATASOURCE_UID},
        "definition": query,
        "query": {"query": query, "refId": f"Variable-{name}"},
        "refresh": 2,  # on time range change: lists models that were served only yesterday
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ALL_VALUE,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "regex": "",
    }


def _objective(name: str, label: str, bounds: tuple[str, ...], default: str) -> Json:
    options = [{"selected": bound == default, "text": bound, "value": bound} for bound in bounds]
    return {
        "name": name,
        "label": label,
        "type": "custom",
        "query": ",".join(bounds),
        "multi": False,
        "includeAll": False,
        "current": {"selected": True, "text": default, "value": default},
        "hide": 0,
        "options": options,
    }
