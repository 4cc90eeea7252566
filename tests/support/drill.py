"""The parts of a drill as native processes: what the stack in Docker has in containers (see `glasshouse.stack.rig`)."""

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.support.gateway import COMMAND, environment
from tests.support.generated_files import generated_yaml
from tests.support.mock import start_mock
from tests.support.program import HOST, PYTHON, Program, free_port

from glasshouse.drill.pages import MODEL
from glasshouse.stack.rig import GrafanaAccess, ScrapeTarget, StandIns

_CONFIG = "prometheus/prometheus.gpu.yml"


def drill_job(directory: Path) -> dict[str, Any]:
    """The shipped job `drill`, which reads the targets of a rig in `directory`."""
    (job,) = (each for each in generated_yaml(_CONFIG)["scrape_configs"] if each["job_name"] == "drill")
    (discovery,) = job["file_sd_configs"]
    discovery["files"] = [str(directory / "drill" / Path(discovery["files"][0]).name)]
    found: dict[str, Any] = yaml.safe_load(yaml.safe_dump(job))
    return found


@dataclass
class NativeRig:
    """See `glasshouse.stack.rig.Rig`.

    Args:
        place: for the drill's directory and the logs.
        blackbox: address of the blackbox exporter.
        grafana: where Grafana answers.
        parts: the parts that may be stopped.
        stop_part, start_part: by the name of one.
    """

    place: Path
    blackbox: str
    grafana: GrafanaAccess
    parts: Mapping[str, ScrapeTarget] = field(default_factory=dict)
    stop_part: Callable[[str], None] = lambda _: None
    start_part: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.directory = self.place / "drill"
        self.directory.mkdir(parents=True, exist_ok=True)
        self._pages, self._tls, self._gateway, self._metrics = (free_port() for _ in range(4))
        self._running = contextlib.ExitStack()

    @property
    def stand_ins(self) -> StandIns:
        return StandIns(
            pages=f"{HOST}:{self._pages}",
            tls=f"{HOST}:{self._tls}",
            gateway=f"{HOST}:{self._gateway}",
            gateway_metrics=f"{HOST}:{self._metrics}",
            blackbox=self.blackbox,
        )

    def stop(self, part: str) -> None:
        self.stop_part(part)

    def start(self, part: str) -> None:
        self.start_part(part)

    def start_stand_ins(self) -> None:
        ports = ("--host", HOST, "--pages-port", str(self._pages), "--tls-port", str(self._tls))
        command = (str(PYTHON), "-m", "glasshouse.drill.stand_in", str(self.directory), *ports)
        self._run(Program("drill", command, {}, self.place))
        mock = start_mock(self.place, name="drill-engine", models=(MODEL,))
        self._running.callback(mock.program.stop)
        variables = environment(
            self.place / "gateway",
            f"drill={mock.url}",
            GATEWAY_PORT=str(self._gateway),
            METRICS_PORT=str(self._metrics),
            KEYS_FILE=str(self.directory / "keys.yaml"),
        )
        self._running.callback(shutil.rmtree, variables["METRICS_DIR"], ignore_errors=True)
        self._run(Program("drill-gateway", COMMAND, variables, self.place))

    def remove_stand_ins(self) -> None:
        self._running.close()

    def _run(self, program: Program) -> None:
        self._running.callback(program.stop)
