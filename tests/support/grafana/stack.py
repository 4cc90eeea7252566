"""The stack of compose.yaml as native processes, scraped by a real Prometheus."""

import contextlib
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.drill import NativeRig
from tests.support.engine import DEMO, VLLM_MODELS, VLLM_PYTHON
from tests.support.gateway import Gateway
from tests.support.grafana.load import Load
from tests.support.grafana.prometheus import Prometheus
from tests.support.grafana.simulated_gpu import SimulatedGpu
from tests.support.mock import Mock, chat
from tests.support.program import HOST, ROOT, Program, free_port, until
from tests.support.services import Services

from glasshouse.stack.rig import GrafanaAccess, ScrapeTarget

NEEDED = {
    "nginx": "nginx-light",
    "prometheus": "prometheus",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "prometheus-nginx-exporter": "prometheus-nginx-exporter",
    "prometheus-blackbox-exporter": "prometheus-blackbox-exporter",
    "gcc": "gcc libc6-dev",
    "openssl": "openssl",
}
_VLLM_MODEL = f"{DEMO}-vllm"
# Instead of nginx/, which needs its container: what the exporter and the probe require.
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


def listens(port: int) -> bool:
    """Whether a port accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@dataclass(frozen=True)
class FaultyGateway:
    """A gateway with a mock engine that behaves as each request says."""

    gateway: Gateway
    mock: Mock

    def chat(self, **fields: Any) -> dict[str, Any]:
        """A chat request to its engine's model; `mock` in it says how the engine behaves."""
        return chat(**{"model": self.mock.name, **fields})


class Stack:
    """Every part, up, scraped and under load; Grafana is started later, on `grafana_port`.

    Args:
        directory: for logs and data.
        exits: stops the parts.
        library: the directory of the compiled NVML stub.
    """

    def __init__(self, directory: Path, exits: contextlib.ExitStack, library: Path) -> None:
        self.directory, self._exits = directory, exits
        self.services = Services(directory, exits)
        self.vllm = self.services.vllm(model_file=self._renamed_model_file()) if VLLM_PYTHON.exists() else None
        self.engines = [engine for engine in (self.services.llamacpp(), self.vllm) if engine is not None]
        prices = ",".join(f"{engine.name}=l4" for engine in self.engines)
        self.gateway = self.services.gateway(*self.engines, ENGINE_PRICES=prices)
        self.gpu = exits.enter_context(SimulatedGpu(directory, library))
        self.grafana_port, self._tls, self._status = free_port(), free_port(), free_port()
        self._ports = {name: free_port() for name in ("node-exporter", "nginx-exporter", "blackbox")}
        self._nginx_directory = directory / "nginx"
        self._nginx_directory.mkdir()
        self._write_certificate(days=90)
        self.restart_nginx()
        self.restart_node_exporter()
        self._start(
            "nginx-exporter", "prometheus-nginx-exporter", f"--web.listen-address={self._at('nginx-exporter')}",
            f"--nginx.scrape-uri=http://{HOST}:{self._status}/stub_status",
        )  # fmt: skip
        self._start(
            "blackbox", "prometheus-blackbox-exporter", f"--web.listen-address={self._at('blackbox')}",
            f"--config.file={ROOT}/prometheus/blackbox.yml",
        )  # fmt: skip
        # vLLM on a CPU is slower. Seven entries, so that every kind of request in a round of the load reaches both.
        models = (*6 * (DEMO,), _VLLM_MODEL) if self.vllm else (DEMO,)
        self.load = exits.enter_context(Load(self.gateway, models))
        self.prometheus = Prometheus(directory / "prometheus", self._targets(), self._at("blackbox"), self.services)
        self.prometheus.start()
        exits.callback(self.prometheus.stop)

    def rig(self, password_file: Path) -> NativeRig:
        """What a drill needs of it: it may stop node-exporter."""
        grafana = GrafanaAccess(f"http://{HOST}:{self.grafana_port}", None, password_file)
        rig = NativeRig(self.prometheus.directory, self._at("blackbox"), grafana)
        rig.parts = {"node-exporter": ScrapeTarget("node-exporter", self._at("node-exporter"))}
        rig.stop_part = lambda _: self.node_exporter.stop()
        rig.start_part = lambda _: self.restart_node_exporter()
        self._exits.callback(rig.remove_stand_ins)
        return rig

    def engine_names(self) -> list[str]:
        """The names of the running engines."""
        return [engine.name for engine in self.engines]

    def serve_certificate(self, days: int) -> None:
        """Makes nginx serve a new self-signed certificate of that validity."""
        self._write_certificate(days)
        self.nginx.send(signal.SIGHUP)

    def restart_node_exporter(self) -> None:
        """Starts node-exporter with the options of compose.yaml, except the mounted root."""
        self.node_exporter = self._start(
            "node-exporter", "prometheus-node-exporter", f"--web.listen-address={self._at('node-exporter')}",
            "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys|var/lib/docker/.+)($|/)",
        )  # fmt: skip

    def restart_nginx(self) -> None:
        text = _NGINX.format(host=HOST, tls=self._tls, status=self._status, gateway=self.gateway.url)
        file = self._nginx_directory / "nginx.conf"
        file.write_text(text, encoding="utf-8")
        self.nginx = self._start("nginx", "nginx", "-e", "stderr", "-p", str(self._nginx_directory), "-c", str(file))
        # Its exporter exits at once when it cannot connect.
        until(lambda: listens(self._status), 20, "nginx listens")

    def faulty_gateway(self, name: str) -> FaultyGateway:
        """Another gateway, with a mock engine and a model of that name; scraped like the first."""
        mock = self.services.mock(name=name, models=(name,))
        gateway = self.services.gateway(mock)
        self.prometheus.targets["gateway"].append(f"{HOST}:{gateway.metrics_port}")
        return FaultyGateway(gateway, mock)

    def _renamed_model_file(self) -> str:
        """A model file for vLLM: the demo model under another name, so that its metrics are separate."""
        text = (VLLM_MODELS / "demo.yaml").read_text(encoding="utf-8")
        assert text.count(f"served-model-name: {DEMO}\n") == 1
        file = self.directory / "demo-vllm.yaml"
        file.write_text(text.replace(DEMO, _VLLM_MODEL), encoding="utf-8")
        return str(file)

    def _at(self, part: str) -> str:
        return f"{HOST}:{self._ports[part]}"

    def _write_certificate(self, days: int) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             "/CN=localhost", "-days", str(days), "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=self._nginx_directory, check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def _start(self, name: str, *command: str) -> Program:
        program = Program(name, command, {}, self.directory)
        self._exits.callback(program.stop)
        return program

    def _targets(self) -> dict[str, list[str]]:
        """The addresses of all targets by job."""
        engines: dict[str, list[str]] = {}
        for engine in self.engines:
            engines[engine.kind] = [f"{HOST}:{engine.port}"]
            engines[f"{engine.kind}-launcher"] = [f"{HOST}:{engine.status_port}"]
        return engines | {
            "gateway": [f"{HOST}:{self.gateway.metrics_port}"],
            "gpu-exporter": [self.gpu.address],
            "nginx": [self._at("nginx-exporter")],
            "node-exporter": [self._at("node-exporter")],
            "probe": [f"https://{HOST}:{self._tls}/healthz"],
            "grafana": [f"{HOST}:{self.grafana_port}"],
        }
