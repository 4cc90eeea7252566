"""nginx as compose.yaml runs it, and what stands around it: each in a container, on networks of the tests' own."""

import contextlib
import functools
import json
import os
import subprocess
import urllib.request
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.stack.parts.stack import ROOT, docker, until

from glasshouse import certificate

NGINX, PYTHON = "glasshouse-test/debian:testing", "glasshouse-test/python:3.11"
UID = os.getuid() or 10001
# As in compose.yaml.
_HARDENED = (
    f"--user={UID}:{UID}", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges:true",
    "--pids-limit=256", "--memory=512m",
)  # fmt: skip
_AS_NGINX = ("--sysctl=net.ipv4.ip_unprivileged_port_start=0", "--stop-signal=SIGQUIT")
_numbers = count(1)


@dataclass(frozen=True)
class Place:
    """A network, and directories that stand for the volumes and secrets of a stack."""

    network: str
    directory: Path
    exits: contextlib.ExitStack

    @classmethod
    def make(cls, directory: Path, exits: contextlib.ExitStack) -> "Place":
        name = f"glasshouse-edge-test-{os.getpid()}-{next(_numbers)}"
        docker("network", "create", name)
        exits.callback(docker, "network", "rm", name)
        place = cls(name, directory, exits)
        place.put_certificate(certificate.make())
        return place

    def folder(self, name: str) -> Path:
        """A directory that a container may write into."""
        folder = self.directory / name
        if not folder.exists():
            folder.mkdir()
            _give(folder)
        return folder

    @property
    def tls(self) -> Path:
        return self.folder("tls")

    @property
    def webroot(self) -> Path:
        return self.folder("webroot")

    @property
    def gateway_address(self) -> str:
        """From where containers see this machine's requests come."""
        return docker("network", "inspect", self.network, "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()

    def put_certificate(self, pair: certificate.Pair) -> None:
        self.put("key.pem", pair.key)
        self.put("cert.pem", pair.certificate)

    def put(self, name: str, text: str) -> None:
        """Puts a file beside the certificate, at once."""
        new = self.tls / f".{name}"
        new.write_text(text)
        new.chmod(0o600)
        _give(new)
        new.rename(self.tls / name)

    def run(self, *options: str, alias: str, image: str, command: tuple[str, ...]) -> str:
        """Starts a container; its id. It is removed with the place."""
        name = f"{self.network}-{alias}-{next(_numbers)}"
        words = ("run", "--detach", f"--name={name}", f"--network={self.network}", f"--network-alias={alias}")
        container = docker(*words, *_HARDENED, *options, image, *command).strip()
        self.exits.callback(subprocess.run, ("docker", "rm", "-fv", container), capture_output=True, check=False)
        return container

    def stand_in(self, alias: str = "api", port: int = 8000, *options: str) -> "StandIn":
        script = Path(__file__).with_name("stand_in.py")
        words = (f"--volume={script}:/stand_in.py:ro", "--publish=127.0.0.1::9000", *options)
        stand_in = StandIn(
            self.run(*words, alias=alias, image=PYTHON, command=("python", "-u", "/stand_in.py", str(port)))
        )
        until(stand_in.answers, 20, f"{alias} answers")
        return stand_in

    def edge(self, *options: str, wait: bool = True, **environment: str) -> "Edge":
        """Starts nginx as compose.yaml does."""
        words = [
            *_AS_NGINX, f"--volume={ROOT / 'nginx'}:/etc/glasshouse/nginx:ro",
            f"--volume={self.tls}:/run/glasshouse/tls:ro", f"--volume={self.webroot}:/run/glasshouse/acme-webroot:ro",
            "--publish=127.0.0.1::80", "--publish=127.0.0.1::443", *options,
            *(f"--env={name}={value}" for name, value in environment.items()),
        ]  # fmt: skip
        edge = Edge(self.run(*words, alias="nginx", image=NGINX, command=("sh", "/etc/glasshouse/nginx/start.sh")))
        if wait:
            until(edge.healthy, 20, "nginx is healthy")
        return edge


def _give(path: Path) -> None:
    if os.getuid() == 0:
        os.chown(path, UID, UID)


@functools.cache
def _published(container: str, inside: int) -> int:
    return int(docker("port", container, str(inside)).split(":")[1])


@dataclass(frozen=True)
class Container:
    """A container that a test started."""

    id: str

    def port(self, inside: int) -> int:
        """Where a port of it is published on this machine."""
        return _published(self.id, inside)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.id))[0]["State"]
        return found

    def logs(self) -> str:
        done = subprocess.run(("docker", "logs", self.id), capture_output=True, text=True, check=True)
        return done.stdout + done.stderr


class StandIn(Container):
    """What stands for the gateway."""

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            self.came()
            return True
        return False

    def came(self, mark: str = "") -> list[dict[str, Any]]:
        """The requests that reached it with `mark` in their target or their headers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port(9000)}/", timeout=5) as answer:
            return [one for one in json.load(answer) if mark in one["target"] + json.dumps(one["headers"])]


class Edge(Container):
    """nginx under test."""

    def healthy(self) -> bool:
        """As compose.yaml's health check."""
        assert self.state["Running"], self.logs()
        done = subprocess.run(
            ("docker", "exec", self.id, "curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8081/stub_status"),
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    def lines(self, **wanted: object) -> list[dict[str, Any]]:
        """The lines of the access log that have these values. Each must be JSON."""
        done = subprocess.run(("docker", "logs", self.id), capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return [line for line in lines if all(line[name] == value for name, value in wanted.items())]
