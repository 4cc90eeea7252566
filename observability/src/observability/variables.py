"""What a reader chooses at the top of a dashboard: the Prometheus, and which VMs, models, engines, keys, GPUs."""

from observability.drawing import DATASOURCE, Json
from observability.promql import Scope

_EVERYTHING = ".*"

# Name → heading, and the question that lists its values. A VM comes first: the other lists follow it.
_CHOICES = {
    "vm": ("VM", 'label_values(up{job=~".+"}, vm)'),
    "model": ("Model", 'label_values(gateway_requests_started_total{job="gateway", vm=~"$vm"}, model)'),
    "engine": ("Engine", 'label_values(gateway_engine_state{job="gateway", vm=~"$vm"}, engine)'),
    "instance": ("Engine server", 'label_values(up{job=~"vllm|llamacpp", vm=~"$vm"}, instance)'),
    "key": ("Key", 'label_values(gateway_key_requests_total{job="gateway", vm=~"$vm"}, key)'),
    "gpu": ("GPU", 'label_values(DCGM_FI_DEV_FB_TOTAL{job="gpu-exporter", vm=~"$vm"}, gpu)'),
}

NAMES = tuple(_CHOICES)


class Choices:
    """The variables of one dashboard, and what its queries look at because of them."""

    def __init__(self, *names: str) -> None:
        self.names = names
        filters = {name: f"${name}" for name in names}
        # Graphs: the rate around each point. $__rate_interval follows from the datasource's timeInterval.
        self.at_each_point = Scope("$__rate_interval", filters)
        # Tiles that judge: the whole time that the reader has chosen.
        self.over_the_page = Scope("$__range", filters)
        # Tiles that tell of now.
        self.now = Scope("1m", filters)


def listed(names: tuple[str, ...]) -> list[Json]:
    """The variables, as Grafana keeps them; the Prometheus is always one of them."""
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
        *(_labels(name, *_CHOICES[name]) for name in names),
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
