"""nginx as compose.yaml runs it, and what stands around it: each in a container, on networks of the tests' own."""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.compose.stack import ROOT, docker, until

from glasshouse.secrets import certificate

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

    def put_certificate(self, pair: certificate.CertificatePair) -> None:
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

    def started(self, where: str, **environment: str) -> "Edge":
        """nginx with a gateway, in a container (`docker`) or without one (`native`)."""
        gateway = self.stand_in()
        if where == "docker":
            return self.edge(wait=True, **environment)
        return self.native_edge(gateway, **environment)

    def native_edge(self, gateway: "StandIn | None" = None, **environment: str) -> "NativeEdge":
        """Starts nginx as supervisord.conf does, on this machine; the gateway may be the stand-in in its container."""
        prefix = self.directory / f'native {next(_numbers)} "quoted"'
        prefix.mkdir()
        port = _free_port()
        address = f"{gateway.address}:8000" if gateway is not None else f"127.0.0.1:{_free_port()}"
        variables = {
            "PATH": os.environ["PATH"], "NGINX_PROGRAM": shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx",
            "NGINX_PREFIX": str(prefix), "NGINX_TLS": str(self.tls), "NGINX_LISTEN": f"127.0.0.1:{port}",
            "NGINX_GATEWAY": address, **environment,
        }  # fmt: skip
        with (prefix / "out").open("wb") as out, (prefix / "err").open("wb") as err:
            process = subprocess.Popen(
                ("sh", ROOT / "nginx/start.sh"), env=variables, cwd=ROOT, stdout=out, stderr=err, start_new_session=True
            )
        edge = NativeEdge("native", process, prefix, port)
        self.exits.callback(edge.end)
        until(edge.healthy, 20, "nginx is healthy")
        return edge


def _give(path: Path) -> None:
    if os.getuid() == 0:
        os.chown(path, UID, UID)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


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

    @property
    def address(self) -> str:
        """Its own, which this machine reaches too."""
        (network,) = json.loads(docker("inspect", self.id))[0]["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

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


@dataclass(frozen=True)
class NativeEdge(Edge):
    """nginx under test, without a container."""

    process: "subprocess.Popen[bytes]"
    prefix: Path
    listening: int

    def port(self, inside: int) -> int:
        assert inside == 443, "natively there is no port but that of TLS"
        return self.listening

    @property
    def state(self) -> dict[str, Any]:
        status = self.process.poll()
        return {"Running": status is None, "ExitCode": status}

    def logs(self) -> str:
        return (self.prefix / "out").read_text() + (self.prefix / "err").read_text()

    def healthy(self) -> bool:
        assert self.state["Running"], self.logs()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.listening), 5):
            return True
        return False

    def lines(self, **wanted: object) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.prefix / "out").read_text().splitlines()]
        return [line for line in lines if all(line[name] == value for name, value in wanted.items())]

    def end(self) -> None:
        """Ends it, and all that it has started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
