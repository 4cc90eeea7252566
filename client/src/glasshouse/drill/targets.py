"""The targets that a drill adds to Prometheus, in the format of `file_sd_configs`.

A target's labels set its `job`, `instance` and the path of its metrics; the job `drill` of Prometheus' configuration
gives each of them vm="drill".
"""

import json
from collections.abc import Mapping

from glasshouse.stack.rig import ScrapeTarget, StandIns

FILE = "targets.json"
_PROBE_MODULE = "front_door"  # of prometheus/blackbox.yml

Json = Mapping[str, object]


def second_scrape(target: ScrapeTarget) -> Json:
    """A part of the stack, scraped a second time, of which only `up` is kept: its alert is the drill's."""
    return _target(target.address, job=target.job, instance=target.address, drill="up")


def page(stand_ins: StandIns, job: str, name: str) -> Json:
    """A metrics page, in place of an exporter."""
    return _target(stand_ins.pages, job=job, instance=f"drill-{name}", __metrics_path__=f"/{name}")


def gateway(stand_ins: StandIns) -> Json:
    """The drill's gateway."""
    return _target(stand_ins.gateway_metrics, job="gateway", instance=stand_ins.gateway_metrics)


def probe(stand_ins: StandIns, name: str) -> Json:
    """The TLS endpoint, probed by the stack's blackbox exporter."""
    url = f"https://{stand_ins.tls}/{name}"
    parameters = {"__metrics_path__": "/probe", "__param_module": _PROBE_MODULE, "__param_target": url}
    return _target(stand_ins.blackbox, job="probe", instance=url, **parameters)


def instance(target: Json) -> str:
    """The label `instance` of a target."""
    labels = target["labels"]
    return str(labels["instance"]) if isinstance(labels, Mapping) else ""


def text(targets: list[Json]) -> str:
    """The file."""
    return json.dumps(targets, indent=1)


def _target(address: str, **labels: str) -> Json:
    return {"targets": [address], "labels": labels}
