"""nginx as compose.yaml runs it, with its neighbours: each in a container, on networks of the tests' own."""

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
from tests.support.program import free_port

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
class Sandbox:
    """A network, and directories in place of the volumes and secrets of a stack."""

    network: str
    directory: Path
    exits: contextlib.ExitStack

    @classmethod
    def create(cls, directory: Path, exits: contextlib.ExitStack) -> "Sandbox":
        name = f"glasshouse-nginx-test-{os.getpid()}-{next(_numbers)}"
        docker("network", "create", name)
        exits.callback(docker, "network", "rm", name)
        sandbox = cls(name, directory, exits)
        sandbox.put_certificate(certificate.make())
        return sandbox

    def folder(self, name: str) -> Path:
        """A directory that a container may write into."""
        folder = self.directory / name
        if not folder.exists():
            folder.mkdir()
            _chown(folder)
        return folder

    @property
    def tls(self) -> Path:
        return self.folder("tls")

    @property
    def webroot(self) -> Path:
        return self.folder("webroot")

    @property
    def gateway_address(self) -> str:
        """The address from which containers see requests of this machine."""
        return docker("network", "inspect", self.network, "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()

    def put_certificate(self, pair: certificate.CertificatePair) -> None:
        self.put("key.pem", pair.key)
        self.put("cert.pem", pair.certificate)

    def put(self, name: str, text: str) -> None:
        """Puts a file beside the certificate, atomically."""
        new = self.tls / f".{name}"
        new.write_text(text)
        new.chmod(0o600)
        _chown(new)
        new.rename(self.tls / name)

    def run(self, *options: str, alias: str, image: str, command: tuple[str, ...]) -> str:
        """Starts a container and returns its id. It is removed with the sandbox."""
        name = f"{self.network}-{alias}-{next(_numbers)}"
        words = ("run", "--detach", f"--name={name}", f"--network={self.network}", f"--network-alias={alias}")
        container = docker(*words, *_HARDENED, *options, image, *command).strip()
        self.exits.callback(subprocess.run, ("docker", "rm", "-fv", container), capture_output=True, check=False)
        return container

    def upstream(self, alias: str = "api", port: int = 8000, *options: str) -> "FakeUpstream":
        """Starts a fake of the gateway, or of Grafana."""
        script = Path(__file__).with_name("fake_upstream.py")
        words = (f"--volume={script}:/fake_upstream.py:ro", "--publish=127.0.0.1::9000", *options)
        upstream = FakeUpstream(
            self.run(*words, alias=alias, image=PYTHON, command=("python", "-u", "/fake_upstream.py", str(port)))
        )
        until(upstream.is_up, 20, f"{alias} responds")
        return upstream

    def nginx(self, *options: str, wait: bool = True, **environment: str) -> "NginxContainer":
        """Starts nginx as compose.yaml does."""
        words = [
            *_AS_NGINX, f"--volume={ROOT / 'nginx'}:/etc/glasshouse/nginx:ro",
            f"--volume={self.tls}:/run/glasshouse/tls:ro", f"--volume={self.webroot}:/run/glasshouse/acme-webroot:ro",
            "--publish=127.0.0.1::80", "--publish=127.0.0.1::443", *options,
            *(f"--env={name}={value}" for name, value in environment.items()),
        ]  # fmt: skip
        nginx = NginxContainer(
            self.run(*words, alias="nginx", image=NGINX, command=("sh", "/etc/glasshouse/nginx/start.sh"))
        )
        if wait:
            until(nginx.is_healthy, 20, "nginx is healthy")
        return nginx

    def start_nginx(self, where: str, **environment: str) -> "NginxContainer":
        """Starts nginx with a fake gateway, in a container (`docker`) or without one (`native`)."""
        upstream = self.upstream()
        if where == "docker":
            return self.nginx(wait=True, **environment)
        return self.native_nginx(upstream, **environment)

    def native_nginx(self, upstream: "FakeUpstream | None" = None, **environment: str) -> "NginxProcess":
        """Starts nginx as supervisord.conf does, on this machine; the gateway may be a fake in a container."""
        prefix = self.directory / f'native {next(_numbers)} "quoted"'
        prefix.mkdir()
        port = free_port()
        address = f"{upstream.address}:8000" if upstream is not None else f"127.0.0.1:{free_port()}"
        variables = {
            "PATH": os.environ["PATH"], "NGINX_PROGRAM": shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx",
            "NGINX_PREFIX": str(prefix), "NGINX_TLS": str(self.tls), "NGINX_LISTEN": f"127.0.0.1:{port}",
            "NGINX_GATEWAY": address, **environment,
        }  # fmt: skip
        with (prefix / "out").open("wb") as out, (prefix / "err").open("wb") as err:
            process = subprocess.Popen(
                ("sh", ROOT / "nginx/start.sh"), env=variables, cwd=ROOT, stdout=out, stderr=err, start_new_session=True
            )
        nginx = NginxProcess("native", process, prefix, port)
        self.exits.callback(nginx.stop)
        until(nginx.is_healthy, 20, "nginx is healthy")
        return nginx


def _chown(path: Path) -> None:
    if os.getuid() == 0:
        os.chown(path, UID, UID)


@functools.cache
def _published(container: str, inside: int) -> int:
    return int(docker("port", container, str(inside)).split(":")[1])


@dataclass(frozen=True)
class Container:
    """A container that a test has started."""

    id: str

    def port(self, inside: int) -> int:
        """The port of this machine that publishes a port of the container."""
        return _published(self.id, inside)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.id))[0]["State"]
        return found

    def logs(self) -> str:
        done = subprocess.run(("docker", "logs", self.id), capture_output=True, text=True, check=True)
        return done.stdout + done.stderr


class FakeUpstream(Container):
    """The fake of the gateway, or of Grafana."""

    @property
    def address(self) -> str:
        """Its own address, which this machine reaches too."""
        (network,) = json.loads(docker("inspect", self.id))[0]["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def is_up(self) -> bool:
        with contextlib.suppress(OSError):
            self.requests()
            return True
        return False

    def requests(self, mark: str = "") -> list[dict[str, Any]]:
        """The requests that it has received with `mark` in their target or headers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port(9000)}/", timeout=5) as response:
            return [
                received
                for received in json.load(response)
                if mark in received["target"] + json.dumps(received["headers"])
            ]


class NginxContainer(Container):
    """nginx under test."""

    def is_healthy(self) -> bool:
        """As compose.yaml's health check."""
        assert self.state["Running"], self.logs()
        done = subprocess.run(
            ("docker", "exec", self.id, "curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8081/stub_status"),
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    def log_lines(self, **fields: object) -> list[dict[str, Any]]:
        """The lines of the access log with these values. Every line must be JSON."""
        done = subprocess.run(("docker", "logs", self.id), capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return [line for line in lines if all(line[name] == value for name, value in fields.items())]


@dataclass(frozen=True)
class NginxProcess(NginxContainer):
    """nginx under test, without a container."""

    process: "subprocess.Popen[bytes]"
    prefix: Path
    tls_port: int

    def port(self, inside: int) -> int:
        assert inside == 443, "without a container there is only the port of TLS"
        return self.tls_port

    @property
    def state(self) -> dict[str, Any]:
        status = self.process.poll()
        return {"Running": status is None, "ExitCode": status}

    def logs(self) -> str:
        return (self.prefix / "out").read_text() + (self.prefix / "err").read_text()

    def is_healthy(self) -> bool:
        assert self.state["Running"], self.logs()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 5):
            return True
        return False

    def log_lines(self, **fields: object) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.prefix / "out").read_text().splitlines()]
        return [line for line in lines if all(line[name] == value for name, value in fields.items())]

    def stop(self) -> None:
        """Stops it, with everything that it has started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
