"""Puts the fake docker on a PATH, tells it what to answer, and reads what it was asked."""

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class FakeDocker:
    """The fake program of fake_docker.py on a PATH of its own, and what it is to answer."""

    directory: Path
    root: Path

    def __post_init__(self) -> None:
        self.directory.mkdir()
        source = Path(__file__).with_name("fake_docker.py").read_text(encoding="utf-8")
        self.program("docker", f"#!{sys.executable} -SE\n{source}")
        for name in ("compose.yaml", "compose.cpu.yaml"):
            (self.root / name).touch()
        self._plan: dict[str, Any] = {
            "daemon_says": "", "compose": "2.26.1", "runtimes": {"runc": {}}, "hangs": "", "statuses": {},
            "containers": [], "after_up": [], "logs": {}, "data_root": "/var/lib/docker", "images": {}, "networks": {},
            "version": "28.2.2", "buildx": "github.com/docker/buildx v0.17.1 0123abc",
        }  # fmt: skip
        self.plan()

    def program(self, name: str, text: str) -> None:
        """Puts a program on the PATH."""
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def plan(self, **changes: Any) -> None:
        """Changes what it answers."""
        if (file := self.directory / "plan.json").exists():
            self._plan = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps({**self._plan, **changes}), encoding="utf-8")

    def container(
        self,
        service: str,
        state: str = "running",
        *,
        ports: dict[int, int] | None = None,
        files: tuple[str, ...] = ("compose.yaml", "compose.cpu.yaml"),
        directory: Path | None = None,
        status: int = 0,
        restarts: int = 0,
        error: str = "",
        health: str = "healthy",
    ) -> dict[str, Any]:
        """A container as `docker inspect` describes it."""
        place = directory or self.root
        labels = {"service": service, "project.working_dir": str(place)}
        labels["project.config_files"] = ",".join(str(place / file) for file in files)
        return {
            "Id": f"id-{service}",
            "RestartCount": restarts,
            "Config": {"Labels": {f"com.docker.compose.{name}": value for name, value in labels.items()}},
            "State": {
                "Status": state, "ExitCode": status, "Error": error, "StartedAt": "2026-11-21T05:03:39.123456789Z",
                "Health": {"Status": health},
            },
            "NetworkSettings": {
                "Ports": {f"{inside}/tcp": [{"HostPort": str(out)}] for inside, out in (ports or {}).items()}
            },
        }  # fmt: skip

    @property
    def path(self) -> str:
        """The PATH on which this docker is alone."""
        return str(self.directory)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What it was asked so far."""
        file = self.directory / "calls.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    @property
    def asked_of_compose(self) -> list[str]:
        """What Compose was to do, without project and files."""
        done = [" ".join(call["words"]) for call in self.calls if call["words"][0] == "compose"]
        return [text.split("compose.cpu.yaml ")[-1].split("compose.yaml ")[-1] for text in done if "--project" in text]
