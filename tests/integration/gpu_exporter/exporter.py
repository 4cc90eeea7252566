"""The exporter under test: the real service and the real binding over the stub of NVML."""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.support.program import HOST, PYTHON, Program, free_port

HERE = Path(__file__).parent
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Labels = frozenset[tuple[str, str]]


def build_stub(directory: Path) -> None:
    """Compiles the stub into a directory, under the name that the binding loads."""
    warnings = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
    output, sources = directory / "libnvidia-ml.so.1", sorted((HERE / "stub").glob("*.c"))
    subprocess.run(["gcc", "-shared", "-fPIC", *warnings, "-o", output, *sources], check=True, timeout=60)


class Machine:
    """What the stub shows: a file, which tests change while the exporter runs."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.file = directory / "machine.txt"
        self.log = directory / "nvml.log"
        self.events = directory / "xids"
        self._was = (HERE / "machines" / f"{kind}.txt").read_text(encoding="utf-8")
        self.now()

    def now(self, *lines: str) -> None:
        """The machine as it is by nature, but for these lines."""
        whole = self.file.with_suffix(".new")
        whole.write_text("".join(f"{line}\n" for line in lines) + self._was, encoding="utf-8")
        whole.replace(self.file)  # at once: the stub never reads half a file

    def xid(self, number: int, gpu: int = 0) -> None:
        """An XID event, for whoever waits for one of this GPU."""
        with self.events.open("a", encoding="ascii") as events:
            events.write(f"{gpu} {number}\n")

    def calls(self) -> list[str]:
        """Starts and ends of NVML so far."""
        return self.log.read_text(encoding="ascii").split() if self.log.exists() else []


class Exporter(Program):
    """A running exporter.

    Args:
        directory: Where its log goes.
        library: Directory of the stub; None for a machine without a driver.
        machine: What the stub shows.
        settings: GPU_EXPORTER_… without that prefix.
    """

    def __init__(
        self, directory: Path, library: Path | None, machine: Machine | None, settings: dict[str, str]
    ) -> None:
        self.port = int(settings.get("PORT", free_port()))
        environment = {
            "GPU_EXPORTER_PORT": str(self.port),
            "GPU_EXPORTER_HOSTNAME": "the-machine",
            **{f"GPU_EXPORTER_{name}": value for name, value in settings.items()},
        }
        if library is not None and machine is not None:
            environment |= {
                "LD_LIBRARY_PATH": os.pathsep.join([str(library), os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(":"),
                "NVML_STUB": str(machine.file),
                "NVML_STUB_LOG": str(machine.log),
                "NVML_STUB_XIDS": str(machine.events),
            }
        super().__init__("gpu-exporter", (str(PYTHON), "-m", "gpu_exporter"), environment, directory)

    def get(self, path: str, seconds: float = 10.0) -> tuple[int, str]:
        """Status and body."""
        try:
            with _NO_PROXY.open(f"http://{HOST}:{self.port}{path}", timeout=seconds) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def answers(self) -> bool:
        """Whether its port is open."""
        try:
            return self.get("/")[0] == 404
        except OSError:
            return False

    def scrape(self) -> "Scrape":
        """What Prometheus would read."""
        status, text = self.get("/metrics")
        assert status == 200, text
        return Scrape(text)


class Scrape:
    """A page of metrics, read by Prometheus' own parser for Python."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def names(self) -> set[str]:
        """Of all metrics on the page."""
        return {sample.name for sample in self._samples}

    def value(self, name: str, /, **labels: str) -> float:
        """The one value of a metric that has these labels, among others."""
        found = [s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()]
        assert len(found) == 1, (name, labels, found)
        return float(found[0])

    def gpus(self) -> set[str]:
        """The indexes of the GPUs that have any series but those of their past XID events, which stay."""
        kept = {"gpu_xid_errors_total", "gpu_xid_last_timestamp_seconds"}
        return {sample.labels["gpu"] for sample in self._samples if "gpu" in sample.labels and sample.name not in kept}

    def labels(self, name: str) -> list[dict[str, str]]:
        """Of all series of a metric."""
        return [sample.labels for sample in self._samples if sample.name == name]


def absent(scrape: Scrape, *, visible: int = 0) -> None:
    """Asserts that a scrape tells of a failure, and holds nothing of a GPU that could not be read."""
    assert scrape.value("gpu_up") == 0
    assert scrape.value("gpu_exporter_gpus_visible") == visible
    assert len(scrape.gpus()) == visible


def refused(settings: dict[str, str], arguments: Sequence[str] = ()) -> tuple[int, str]:
    """Exit code and standard error of a start that must not succeed."""
    done = subprocess.run(
        [PYTHON, "-m", "gpu_exporter", *arguments],
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr
