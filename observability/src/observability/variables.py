"""Dashboard variables: the Prometheus, and which VMs, models, engines, keys and GPUs to show."""

from observability import settings
from observability.grafana_json import DATASOURCE, Json
from observability.promql import Scope

_ALL_VALUE = ".*"

# Name → label, and the query of its values. The VM comes first: it filters the other lists.
_VARIABLES = {
    "vm": ("VM", f'label_values(up{{job=~".+", vm!="{settings.DRILL_VM}"}}, vm)'),
    "model": ("Model", 'label_values(gateway_requests_started_total{job="gateway", vm=~"$vm"}, model)'),
    "engine": ("Engine", 'label_values(gateway_engine_state{job="gateway", vm=~"$vm"}, engine)'),
    "instance": ("Engine server", 'label_values(up{job=~"vllm|llamacpp", vm=~"$vm"}, instance)'),
    "key": ("Key", 'label_values(gateway_key_requests_total{job="gateway", vm=~"$vm"}, key)'),
    "gpu": ("GPU", 'label_values(DCGM_FI_DEV_FB_TOTAL{job="gpu-exporter", vm=~"$vm"}, gpu)'),
}

NAMES = tuple(_VARIABLES)


class Variables:
    """The variables of one dashboard, and the scopes of its queries that follow from them."""

    def __init__(self, *names: str) -> None:
        self.names = names
        filters = {name: f"${name}" for name in names}
        # Graphs: the rate around each point. Grafana derives $__rate_interval from the datasource's timeInterval.
        self.per_interval = Scope("$__rate_interval", filters, without_drill=True)
        # Stats with thresholds: the whole time range that the reader has chosen.
        self.full_range = Scope("$__range", filters, without_drill=True)
        # Stats of the current value.
        self.now = Scope("1m", filters, without_drill=True)


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
        *(_label_variable(name, *_VARIABLES[name]) for name in names),
    ]


def _label_variable(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"Variable-{name}"},
        "refresh": 2,  # on time range change: lists models that were served only yesterday
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": _ALL_VALUE,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "regex": "",
    }
