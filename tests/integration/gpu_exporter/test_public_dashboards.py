"""The queries of NVIDIA's own dashboard for dcgm-exporter, asked of a Prometheus that scraped this exporter.

The dashboard is grafana/dcgm-exporter-dashboard.json of github.com/NVIDIA/dcgm-exporter at 4.5.3-4.8.2, the last
release whose label is `Hostname`; on grafana.com it is number 12239.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gpu_exporter import golden
from tests.integration.gpu_exporter.exporter import Exporter, Machine
from tests.support.program import HOST, free_port, until
from tests.support.prometheus import Prometheus

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")

_CHOSEN = '{instance=~"$instance", gpu=~"$gpu"}'
# By panel; the variables $instance and $gpu take their values from DCGM_FI_DEV_GPU_TEMP.
PANELS = {
    "GPU Temperature": f"DCGM_FI_DEV_GPU_TEMP{_CHOSEN}",
    "GPU Avg. Temp": f"avg(DCGM_FI_DEV_GPU_TEMP{_CHOSEN})",
    "GPU Power Usage": f"DCGM_FI_DEV_POWER_USAGE{_CHOSEN}",
    "GPU Power Total": f"sum(DCGM_FI_DEV_POWER_USAGE{_CHOSEN})",
    "GPU SM Clocks": f"DCGM_FI_DEV_SM_CLOCK{_CHOSEN} * 1000000",
    "GPU Utilization": f"DCGM_FI_DEV_GPU_UTIL{_CHOSEN}",
    "GPU Framebuffer Mem Used": f"DCGM_FI_DEV_FB_USED{_CHOSEN}",
    "Tensor Core Utilization": f"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{_CHOSEN}",
}
# Panels without data, and why.
EVERYWHERE = {"Tensor Core Utilization": "a profiling field, which NVML does not have"}
UNDER_MIG = {"GPU Utilization": "NVML does not tell the utilisation of a partitioned GPU, nor of its instances"}
REPLAYED = "a replay"


@pytest.fixture(scope="module")
def instances(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The address of an exporter for each machine, and of one that plays a recording back."""
    running: dict[str, Exporter] = {}
    try:
        for kind in golden.KINDS:
            directory = tmp_path_factory.mktemp(kind)
            running[kind] = Exporter(directory, library, Machine(directory, kind), {})
        settings = {"REPLAY": str(golden.file("l4"))}
        running[REPLAYED] = Exporter(tmp_path_factory.mktemp("replay"), None, None, settings)
        for exporter in running.values():
            exporter.ready(exporter.answers, 20)
        yield {kind: f"{HOST}:{exporter.port}" for kind, exporter in running.items()}
    finally:
        for exporter in running.values():
            exporter.stop()


@pytest.fixture(scope="module")
def prometheus(instances: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped all of them."""
    job = {"job_name": "gpu-exporter", "static_configs": [{"targets": list(instances.values())}]}
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
    running = Prometheus(tmp_path_factory.mktemp("prometheus"), free_port(), config)
    try:
        scraped = "up == 1 and on (instance) gpu_up == 1"
        until(lambda: len(running.ask(scraped)) == len(instances), 30, "all scraped")
        yield running
    finally:
        running.stop()


def _panel(prometheus: Prometheus, title: str, instance: str, gpu: str) -> list[dict[str, Any]]:
    return prometheus.ask(PANELS[title].replace("$instance", instance).replace("$gpu", gpu))


@pytest.mark.parametrize("kind", [*golden.KINDS, REPLAYED])
@pytest.mark.parametrize("gpu", [".*", "0"], ids=["all GPUs", "one GPU"])
def test_every_panel_has_data_or_a_reason_for_none(
    kind: str, gpu: str, instances: dict[str, str], prometheus: Prometheus
) -> None:
    without = EVERYWHERE | (UNDER_MIG if kind == "a100-mig" else {})
    reported = {title for title in PANELS if _panel(prometheus, title, instances[kind], gpu)}
    assert reported == PANELS.keys() - without.keys()


def test_the_variables_have_values(instances: dict[str, str], prometheus: Prometheus) -> None:
    for label, values in {"instance": set(instances.values()), "gpu": {"0", "1"}}.items():
        answer = prometheus.client.get(f"/api/v1/label/{label}/values", params={"match[]": "DCGM_FI_DEV_GPU_TEMP"})
        assert set(answer.raise_for_status().json()["data"]) == values


def test_the_values_are_those_of_the_machine(instances: dict[str, str], prometheus: Prometheus) -> None:
    def value(title: str, kind: str) -> float:
        (series,) = _panel(prometheus, title, instances[kind], ".*")
        return float(series["value"][1])

    assert value("GPU Power Total", "t4") == pytest.approx(68.7 + 9.65)
    assert value("GPU SM Clocks", "l4") == 1695e6
    assert value("GPU Framebuffer Mem Used", "l4") == value("GPU Framebuffer Mem Used", REPLAYED) == 21000


def test_prometheus_takes_our_types(prometheus: Prometheus) -> None:
    known = prometheus.client.get("/api/v1/metadata").raise_for_status().json()["data"]
    types = {name: entries[0]["type"] for name, entries in known.items()}
    assert types["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"] == types["gpu_xid_errors_total"] == "counter"
    assert types["DCGM_FI_DEV_XID_ERRORS"] == types["gpu_exporter_replay"] == "gauge"


def test_a_recording_can_be_told_apart(instances: dict[str, str], prometheus: Prometheus) -> None:
    (replayed,) = prometheus.ask("gpu_exporter_replay == 1")
    assert replayed["metric"]["instance"] == instances[REPLAYED]
    labelled = prometheus.ask('count by (instance) ({__name__=~"DCGM_.+|gpu_.+", replay="true"})')
    assert [series["metric"]["instance"] for series in labelled] == [instances[REPLAYED]]
