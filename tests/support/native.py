"""A native stack of a test's own, operated as by a person: the real `make`, the real programs."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.support.program import HOST, ROOT, free_port

_PORTS = ("GATEWAY_PORT", "METRICS_PORT", "LLAMACPP_PORT", "LLAMACPP_STATUS_PORT", "HTTPS_PORT", "PROMETHEUS_PORT")
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LLAMACPP_MODEL")
_START_S = 90
_PROGRAMS = {
    name: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("nginx", "prometheus", "curl")
}

needs_nginx = pytest.mark.skipif(_PROGRAMS["nginx"] is None, reason="nginx is not installed")
needs_prometheus = pytest.mark.skipif(_PROGRAMS["prometheus"] is None, reason="Prometheus is not installed")
needs_curl = pytest.mark.skipif(_PROGRAMS["curl"] is None, reason="curl is not installed")


@dataclass(frozen=True)
class NativeStack:
    """The directory and the environment of a stack; `make` runs in the repository with this environment."""

    directory: Path
    variables: dict[str, str]

    @classmethod
    def create(cls, directory: Path, **variables: str) -> "NativeStack":
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        own = {name: str(free_port()) for name in _PORTS}
        paths = {"RUN_DIR": str(directory / "run"), "SECRETS_DIR": str(directory / "secrets")}
        # No Docker: neither its shape, nor a stack of this checkout that may run in it.
        apart = {"SHAPE": "native", "COMPOSE_PROJECT_NAME": f"glasshouse-native-{os.getpid()}"}
        return cls(directory, {**kept, **own, **paths, **apart, "STOP_GRACE": "15", **variables})

    @property
    def port(self) -> int:
        return int(self.variables["GATEWAY_PORT"])

    def shell(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        whole = {**self.variables, **variables}
        command = ["timeout", str(_START_S), "bash", "-c", script]
        done = subprocess.run(command, cwd=ROOT, env=whole, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.shell(f"make {' '.join(arguments)}", **variables)

    def start(self, *options: str, **variables: str) -> subprocess.Popen[str]:
        """`up` in the background, in a process group like a terminal's foreground job."""
        command = ["bash", "-c", f"exec .venv/bin/glasshouse up {' '.join(options)} 2>&1"]
        whole = {**self.variables, **variables}
        return subprocess.Popen(command, cwd=ROOT, env=whole, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def curl(self, url: str, options: str = "") -> tuple[int, str]:
        """The status and the output of curl; a test that uses it is marked `needs_curl`."""
        done = self.shell(f"curl -s --noproxy '*' -w '\\n%{{http_code}}' {options} {url}")
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def status_for(self, key: str, url: str = "") -> int:
        """The status of a request for the models with this key, to the gateway unless `url` is given."""
        base = url or f"http://{HOST}:{self.port}"
        headers = {"Authorization": f"Bearer {key.strip()}"}
        try:
            return httpx.get(f"{base}/v1/models", headers=headers, timeout=_START_S, trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def leftovers(self) -> list[str]:
        """Command lines of processes that belong to this stack, and its ports that are still taken."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    marks = command.encode() + (entry / "environ").read_bytes()
                    if command and str(self.directory / "run").encode() in marks:
                        found.append(f"{entry.name} {command}")
        for name in _PORTS:
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection((HOST, int(self.variables[name]))),
            ):
                found.append(f"{name} is taken")
        return found

    def pid_of(self, program: str) -> int:
        match = re.search(rf"^{program} +\w+ +(\d+)", self.make("ps").stdout, re.MULTILINE)
        return int(match[1]) if match else 0


def wait_for_output(text: str, up: subprocess.Popen[str]) -> None:
    """Reads the output of a start until a line contains `text`."""
    assert up.stdout is not None
    while text not in (line := up.stdout.readline()):
        assert line, "it ended"
