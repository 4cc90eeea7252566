import json
from pathlib import Path

from glasshouse.drill import targets, watch
from glasshouse.stack.rig import ScrapeTarget, StandIns
from observability import scrape, settings

STAND_INS = StandIns("drill:9400", "drill:8443", "drill-gateway:8000", "drill-gateway:9091", "blackbox:9115")


def test_each_target_has_the_job_that_the_alerts_query() -> None:
    found = [
        targets.second_scrape(ScrapeTarget("vllm", "vllm:8001")),
        targets.page(STAND_INS, "gpu-exporter", "gpu"),
        targets.gateway(STAND_INS),
        targets.probe(STAND_INS, "short-certificate"),
    ]
    assert json.loads(targets.text(found)) == [
        {"targets": ["vllm:8001"], "labels": {"job": "vllm", "instance": "vllm:8001", "drill": "up"}},
        {
            "targets": ["drill:9400"],
            "labels": {"job": "gpu-exporter", "instance": "drill-gpu", "__metrics_path__": "/gpu"},
        },
        {"targets": ["drill-gateway:9091"], "labels": {"job": "gateway", "instance": "drill-gateway:9091"}},
        {
            "targets": ["blackbox:9115"],
            "labels": {
                "job": "probe",
                "instance": "https://drill:8443/short-certificate",
                "__metrics_path__": "/probe",
                "__param_module": "front_door",
                "__param_target": "https://drill:8443/short-certificate",
            },
        },
    ]
    assert [targets.instance(target) for target in found] == [
        "vllm:8001", "drill-gpu", "drill-gateway:9091", "https://drill:8443/short-certificate",
    ]  # fmt: skip


def test_the_names_are_those_of_prometheus_configuration() -> None:
    assert Path(scrape.DRILL_TARGETS).name == targets.FILE
    assert scrape.PROBE_MODULE == "front_door"
    assert settings.DRILL_VM == watch.VM
