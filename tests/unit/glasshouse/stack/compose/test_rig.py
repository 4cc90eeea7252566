from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.glasshouse.conftest import REPOSITORY, Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse.errors import StackError
from glasshouse.stack.compose.rig import SERVICES
from glasshouse.stack.compose.stack import ComposeStack
from observability import scrape


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    return found


def test_what_a_drill_asks_of_compose(docker: FakeDocker, read: Read, healthy: list[dict[str, Any]]) -> None:
    docker.plan(containers=[*healthy, docker.container("node-exporter")])
    rig = ComposeStack(read()).rig()
    rig.start_stand_ins()
    rig.stop("node-exporter")
    rig.start("node-exporter")
    rig.remove_stand_ins()
    names = " ".join(SERVICES)
    assert docker.asked_of_compose == [
        f"--profile drill up --detach --no-build --no-deps --force-recreate {names}",
        "stop node-exporter",
        "restart --no-deps node-exporter",
        f"--profile drill rm --stop --force {names}",
    ]


def test_only_parts_that_run_may_be_stopped(docker: FakeDocker, read: Read, healthy: list[dict[str, Any]]) -> None:
    docker.plan(containers=healthy)
    parts = ComposeStack(read()).rig().parts
    assert "node-exporter" not in parts
    assert parts["llamacpp"].address == "llamacpp:8002"


def test_without_grafana_there_is_nothing_to_drill(
    read: Read, docker: FakeDocker, healthy: list[dict[str, Any]]
) -> None:
    docker.plan(containers=[each for each in healthy if each["Id"] != "id-grafana"])
    with pytest.raises(StackError, match="Grafana"):
        ComposeStack(read()).rig()


def test_the_parts_are_scraped_at_these_addresses(read: Read, docker: FakeDocker) -> None:
    names = ("grafana", "node-exporter", "vllm", "llamacpp")
    docker.plan(containers=[docker.container(name) for name in names])
    jobs = {job["job_name"]: job for shape in (scrape.gpu(), scrape.cpu()) for job in shape["scrape_configs"]}  # type: ignore[attr-defined]  # JSON
    for target in ComposeStack(read()).rig().parts.values():
        assert target.address in jobs[target.job]["static_configs"][0]["targets"]


def test_the_drills_services_run_only_with_their_profile_and_read_its_directory() -> None:
    found = services()
    for name in SERVICES:
        assert found[name]["profiles"] == ["drill"]
        assert found[name]["restart"] == "no"
    assert {found[name]["image"] for name in SERVICES} <= {found[name]["image"] for name in ("init", "api")}
    place = str(Path("prometheus") / Path(scrape.DRILL_TARGETS).parent)
    assert found["drill"]["volumes"] == [f"./{place}:/drill:ro"]
    rig_place = REPOSITORY / place
    assert rig_place.is_dir()
