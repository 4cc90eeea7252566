"""The composed stack in real Docker, under a project of its own: operations on it and queries to it."""

import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
FILES = ("compose.yaml", "compose.cpu.yaml", "tests/stack/compose.standins.yaml")
UP_S = 300
DEAD_PROXY = "http://127.0.0.1:9"


def docker(*arguments: str, timeout: float = 60) -> str:
    """Runs docker; returns its standard output. A failure has its error output."""
    done = subprocess.run(("docker", *arguments), capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr or done.stdout}"
    return done.stdout


def until(condition: Callable[[], Any], seconds: float, what: str, pause: float = 0.2) -> float:
    """Waits for a condition; returns the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return time.monotonic() - began


def dead_proxy(directory: Path) -> Path:
    """A configuration of the docker command that sets a proxy, on whose port nothing listens, for every container."""
    own = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))
    file = own / "config.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found["cliPluginsExtraDirs"] = [*found.get("cliPluginsExtraDirs", []), str(own / "cli-plugins")]
    names = ("httpProxy", "httpsProxy", "allProxy")
    found["proxies"] = {"default": dict.fromkeys(names, DEAD_PROXY)}
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(found), encoding="utf-8")
    return directory


@dataclass
class Stack:
    """One project of Docker Compose. `directory` is empty at first; the secrets are created in it."""

    name: str
    directory: Path
    http_port: int
    https_port: int
    files: Sequence[str] = FILES
    settings: dict[str, str] = field(default_factory=dict)
    docker_config: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of Compose; of the tests' own only what is needed to reach Docker."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        configured = {"DOCKER_CONFIG": str(self.docker_config)} if self.docker_config else {}
        return (
            kept
            | configured
            | {
                "SECRETS_DIR": str(self.secrets),
                "HTTP_PORT": str(self.http_port),
                "HTTPS_PORT": str(self.https_port),
                "GLASSHOUSE_VERSION": "test",
                **self.settings,
            }
        )

    @property
    def secrets(self) -> Path:
        return self.directory / "secrets"

    @property
    def key(self) -> str:
        return (self.secrets / "api-key").read_text().strip()

    @property
    def certificate(self) -> Path:
        return self.secrets / "tls" / "cert.pem"

    def compose(self, *arguments: str, timeout: float = 120, check: bool = True) -> str:
        """Runs docker compose; returns its standard output."""
        done = self._compose(arguments, timeout)
        assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}\n{self.problems()}"
        return done.stdout

    def attempt(self, *arguments: str, timeout: float = 120) -> tuple[int, str]:
        """Runs docker compose; returns its exit status and its error output."""
        done = self._compose(arguments, timeout)
        return done.returncode, done.stderr

    def _compose(self, arguments: tuple[str, ...], timeout: float) -> "subprocess.CompletedProcess[str]":
        files = [part for file in self.files for part in ("-f", str(ROOT / file))]
        command = ["docker", "compose", "--project-name", self.name, "--env-file", os.devnull, *files, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=self.environment, cwd=ROOT
        )

    def up(self, *arguments: str) -> float:
        """Starts what is not running and waits until it is healthy; returns the seconds that it took."""
        began = time.monotonic()
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(UP_S), *arguments, timeout=UP_S + 60)
        return time.monotonic() - began

    def down(self) -> None:
        """Removes all of it, volumes and secrets included."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
        shutil.rmtree(self.secrets, ignore_errors=True)

    def problems(self) -> str:
        """The last log lines of every container, for a failed start."""
        return "\n".join(
            f"{row['Service']}: {row['State']} {row['Health']}\n{self.logs(row['ID'], '--tail', '8')}"
            for row in self.containers()
        )

    def logs(self, container: str, *options: str) -> str:
        """The output of a container."""
        done = subprocess.run(("docker", "logs", *options, container), capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def containers(self) -> list[dict[str, Any]]:
        """A row for each container, ended ones included."""
        listed = docker(
            "ps", "--all", "--filter", f"label=com.docker.compose.project={self.name}", "--format", "{{.ID}}"
        )
        found = json.loads(docker("inspect", *listed.split())) if listed.strip() else []
        return [
            {
                "ID": container["Id"],
                "Service": container["Config"]["Labels"]["com.docker.compose.service"],
                "State": container["State"]["Status"],
                "Health": container["State"].get("Health", {}).get("Status", ""),
                "Inspected": container,
            }
            for container in found
        ]

    def container(self, service: str) -> str:
        """The id of a service's container."""
        (row,) = [row for row in self.containers() if row["Service"] == service]
        return str(row["ID"])

    def execute(self, service: str, *command: str) -> str:
        """Runs a command in a service's container."""
        return docker("exec", self.container(service), *command)

    def tls(self) -> ssl.SSLContext:
        """Trusts the stack's own certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def client(
        self, *, key: str | None = "", timeout: float = 30, verify: ssl.SSLContext | None = None
    ) -> httpx.Client:
        """An HTTPS client; `key=None` sends none, "" the first key."""
        headers = {} if key is None else {"Authorization": f"Bearer {key or self.key}"}
        return httpx.Client(
            base_url=f"https://localhost:{self.https_port}",
            verify=verify or self.tls(),
            headers=headers,
            timeout=timeout,
        )

    def is_ready(self) -> bool:
        """Whether the stack is ready, as seen through nginx."""
        try:
            with self.client(key=None, timeout=5) as client:
                return client.get("/readyz").status_code == httpx.codes.OK
        except (httpx.HTTPError, OSError):
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Queries Prometheus; returns the samples of an instant query."""
        url = f"http://127.0.0.1:9090/api/v1/query?query={urllib.parse.quote(expression, safe='')}"
        answer = json.loads(self.execute("prometheus", "wget", "-q", "-O", "-", url))
        assert answer["status"] == "success"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def value(self, expression: str) -> float:
        """Queries Prometheus for one number; 0 where there is no sample."""
        return sum(float(sample["value"][1]) for sample in self.query(expression))

    def gateway_metrics(self) -> str:
        """The gateway's own metrics, as Prometheus would read them now."""
        return self.fetch("api", "http://127.0.0.1:9091/metrics")

    def fetch(self, service: str, url: str) -> str:
        """The response to a GET from a service with Python, without the proxy that Docker sets for its container."""
        code = (
            "import sys, urllib.request as r; "
            "print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=5).read().decode())"
        )
        return self.execute(service, "python", "-c", code, url)
