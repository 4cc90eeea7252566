"""The stack as programs of this machine: the parts that compose.yaml names, with what Prometheus scrapes of them."""

import contextlib
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.grafana.parts.gpu import Gpu
from tests.integration.parts.engine import VLLM_PYTHON, Engine
from tests.integration.parts.program import HOST, ROOT, Program, free_port, until
from tests.integration.parts.stage import Stage
from tests.unit.observability.parts import generated_yaml

# Shorter than as shipped, so that a test sees within seconds what an operator sees within a quarter of a minute.
_SCRAPE_S = 2
_NGINX = """
daemon off; pid nginx.pid; error_log stderr warn; worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {host}:{tls} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
        location / {{ proxy_pass {gateway}; proxy_buffering off; proxy_read_timeout 300s; }}
    }}
    server {{ listen {host}:{status}; location = /stub_status {{ stub_status; }} }}
}}
"""
NEEDED = {
    "nginx": "nginx-light",
    "prometheus": "prometheus",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "prometheus-nginx-exporter": "prometheus-nginx-exporter",
    "prometheus-blackbox-exporter": "prometheus-blackbox-exporter",
    "gcc": "gcc libc6-dev",
    "openssl": "openssl",
}


class Stack:
    """Every part, up and scraped.

    Args:
        directory: for logs and data.
        exits: ends the parts.
        library: where the compiled stub of NVML lies.
    """

    def __init__(self, directory: Path, exits: contextlib.ExitStack, library: Path) -> None:
        self.directory, self._exits = directory, exits
        self.stage = Stage(directory, exits)
        self.llamacpp = self.stage.llamacpp()
        self.vllm = self.stage.vllm() if VLLM_PYTHON.exists() else None
        self.engines = [engine for engine in (self.llamacpp, self.vllm) if engine is not None]
        self.gateway = self.stage.gateway(*self.engines)
        self.gpu = exits.enter_context(Gpu(directory, library))
        self.grafana_port, self._tls, self._status = free_port(), free_port(), free_port()
        self._ports = {name: free_port() for name in ("node-exporter", "nginx-exporter", "blackbox", "prometheus")}
        self.certificate(days=90)
        self.nginx = self._nginx()
        self.node_exporter = self.start_node_exporter()
        self._start(
            "nginx-exporter", "prometheus-nginx-exporter", f"--web.listen-address={self.address('nginx-exporter')}",
            f"--nginx.scrape-uri=http://{HOST}:{self._status}/stub_status",
        )  # fmt: skip
        self._start(
            "blackbox", "prometheus-blackbox-exporter", f"--web.listen-address={self.address('blackbox')}",
            f"--config.file={ROOT}/prometheus/blackbox.yml",
        )  # fmt: skip
        self.jobs = self._write_prometheus()
        self._start(
            "prometheus", "prometheus", f"--config.file={directory}/prometheus/prometheus.yml",
            f"--storage.tsdb.path={directory}/prometheus/data",
            f"--web.listen-address={self.address('prometheus')}",
        )  # fmt: skip

    @property
    def prometheus_url(self) -> str:
        return f"http://{self.address('prometheus')}"

    def address(self, part: str) -> str:
        """Host and port of an exporter or of Prometheus."""
        return f"{HOST}:{self._ports[part]}"

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers; nothing while it starts."""
        try:
            answer = httpx.get(
                f"{self.prometheus_url}/api/v1/query", params={"query": expression}, trust_env=False, timeout=10
            )
        except httpx.TransportError:
            return []
        found: list[dict[str, Any]] = answer.json()["data"]["result"] if answer.is_success else []
        return found

    def down(self) -> set[str]:
        """The jobs that Prometheus has not reached lately."""
        return self.jobs - {series["metric"]["job"] for series in self.ask("max_over_time(up[20s]) == 1")}

    def wait(self, down: frozenset[str] = frozenset()) -> None:
        """Until every job but those is reached."""
        try:
            until(lambda: self.down() == down, 120, "every target is up", pause=0.5)
        except AssertionError as late:
            late.add_note(f"down: {self.down() - down}")
            raise

    def certificate(self, days: int) -> None:
        """A new self-signed certificate, valid for so long; nginx takes it up when it is reloaded."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             "/CN=localhost", "-days", str(days), "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=self._nginx_directory(), check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def reload_nginx(self) -> None:
        self.nginx.send(signal.SIGHUP)

    def start_node_exporter(self) -> Program:
        """With the options that compose.yaml gives it, but for the mounted root."""
        return self._start(
            "node-exporter", "prometheus-node-exporter", f"--web.listen-address={self.address('node-exporter')}",
            "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys|var/lib/docker/.+)($|/)",
        )  # fmt: skip

    def _nginx_directory(self) -> Path:
        directory = self.directory / "nginx"
        directory.mkdir(exist_ok=True)
        return directory

    def _nginx(self) -> Program:
        directory = self._nginx_directory()
        text = _NGINX.format(host=HOST, tls=self._tls, status=self._status, gateway=self.gateway.url)
        (directory / "nginx.conf").write_text(text, encoding="utf-8")
        return self._start("nginx", "nginx", "-e", "stderr", "-p", str(directory), "-c", str(directory / "nginx.conf"))

    def _start(self, name: str, *command: str) -> Program:
        program = Program(name, command, {}, self.directory)
        self._exits.callback(program.stop)
        return program

    def _write_prometheus(self) -> set[str]:
        """The configuration of the composed stack, with these addresses; returns its jobs."""
        directory = self.directory / "prometheus"
        shutil.copytree(ROOT / "prometheus", directory)
        config = generated_yaml("prometheus/prometheus.gpu.yml")
        config["global"] = {"scrape_interval": f"{_SCRAPE_S}s", "evaluation_interval": f"{_SCRAPE_S}s"}
        targets = self._targets()
        config["scrape_configs"] = [
            self._moved(job, targets[name]) for job in config["scrape_configs"] if (name := job["job_name"]) in targets
        ]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        return set(targets)

    def _targets(self) -> dict[str, str]:
        engines: dict[str, str] = {}
        for engine in self.engines:
            engines |= {engine.kind: f"{HOST}:{engine.port}", f"{engine.kind}-launcher": f"{HOST}:{engine.status_port}"}
        return engines | {
            "gateway": f"{HOST}:{self.gateway.metrics_port}",
            "gpu-exporter": self.gpu.address,
            "nginx": self.address("nginx-exporter"),
            "node-exporter": self.address("node-exporter"),
            "probe": f"https://{HOST}:{self._tls}/healthz",
            "grafana": f"{HOST}:{self.grafana_port}",
            "prometheus": self.address("prometheus"),
        }

    def _moved(self, job: dict[str, Any], target: str) -> dict[str, Any]:
        moved = {**job, "static_configs": [{"targets": [target]}]}
        if moved.pop("dns_sd_configs", None):  # it finds the container of an engine that may be there
            del moved["relabel_configs"]
        if "authorization" in moved:
            moved["authorization"] = {"credentials_file": str(self.stage.key_file)}
        if moved["job_name"] == "probe":
            *labels, last = moved["relabel_configs"]
            assert last["replacement"] == "blackbox:9115"
            moved["relabel_configs"] = [*labels, {**last, "replacement": self.address("blackbox")}]
            moved["scrape_interval"] = moved["scrape_timeout"] = f"{2 * _SCRAPE_S}s"
        return moved


def engine_of(stack: Stack, kind: str) -> Engine:
    """The engine of that kind."""
    return next(engine for engine in stack.engines if engine.kind == kind)
