"""The real engines, each behind its launcher, as they are run."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.support.program import HOST, PYTHON, ROOT, Program, free_port
from tests.support.samples import Samples

DEMO = "glasshouse-demo"
GGUF = ROOT / "models" / "demo" / "glasshouse-demo.gguf"
VLLM_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
VLLM_MODELS = ROOT / "services" / "vllm" / "models"
_LLAMACPP_START_S, _VLLM_START_S = 30.0, 360.0
_BUSY = {
    "llamacpp": ("llamacpp:requests_processing", "llamacpp:requests_deferred"),
    "vllm": ("vllm:num_requests_running", "vllm:num_requests_waiting"),
}
_GENERATED = {"llamacpp": "llamacpp:tokens_predicted_total", "vllm": "vllm:generation_tokens_total"}


@dataclass
class Engine:
    """A running engine and its launcher."""

    name: str
    kind: str
    program: Program
    port: int
    status_port: int
    key_file: Path
    awaited: str = "ready"

    @property
    def address(self) -> str:
        """As it stands in `ENGINES`."""
        return f"{self.name}=http://{HOST}:{self.port}+http://{HOST}:{self.status_port}"

    @property
    def http(self) -> httpx.Client:
        """A client straight to the engine, past the gateway; close it (`with`)."""
        headers = {"authorization": f"Bearer {self.key_file.read_text('ascii')}"}
        return httpx.Client(base_url=f"http://{HOST}:{self.port}", headers=headers, timeout=60, trust_env=False)

    def status(self) -> dict[str, Any]:
        """What its launcher says."""
        told: dict[str, Any] = httpx.get(f"http://{HOST}:{self.status_port}/status", trust_env=False).json()
        return told

    def is_ready(self) -> bool:
        """Whether its launcher says that it is as awaited."""
        try:
            return bool(self.status()["state"] == self.awaited)
        except (httpx.TransportError, json.JSONDecodeError):
            return False

    def context(self) -> int:
        """Tokens that one request may use, prompt and answer together, by its own word."""
        with self.http as http:
            row = http.get("/v1/models").json()["data"][0]
        return int(row["max_model_len"] if self.kind == "vllm" else row["meta"]["n_ctx"])

    def scrape(self, http: httpx.Client) -> Samples:
        return Samples.parse(http.get("/metrics").raise_for_status().text)

    def busy(self, http: httpx.Client) -> int:
        """Requests that it runs or holds waiting, by its own metric."""
        running, waiting = (int(self.scrape(http).total(name)) for name in _BUSY[self.kind])
        # llama.cpp's count of waiting ones holds the question itself when all slots are taken.
        return running + (waiting if self.kind == "vllm" or running else 0)

    def generated(self, http: httpx.Client) -> int:
        """Tokens that it has generated since its start."""
        return int(self.scrape(http).total(_GENERATED[self.kind]))

    def engine_pid(self) -> int:
        """The engine's own process, under the launcher."""
        (pid,) = self.program.children()
        return pid


def start_llamacpp(
    directory: Path, key_file: Path, *, name: str = "llamacpp", awaited: str = "ready", **settings: str
) -> Engine:
    """Starts llama.cpp with the demo model through its launcher, and waits until it is in the awaited state."""
    port, status_port = free_port(), free_port()
    variables = {
        "LLAMACPP_MODEL": str(GGUF),
        "LLAMACPP_PORT": str(port),
        "LLAMACPP_STATUS_PORT": str(status_port),
        "LLAMACPP_THREADS": "1",  # the other core is for the gateway and the clients: small machines run these tests
        "ENGINE_KEY_FILE": str(key_file),
        **settings,
    }
    command = (str(PYTHON), "-m", "llamacpp_server")
    engine = Engine(
        name, "llamacpp", Program(name, command, variables, directory), port, status_port, key_file, awaited
    )
    return _started(engine, _LLAMACPP_START_S)


def start_vllm(directory: Path, key_file: Path, *, model_file: str = "demo.yaml", name: str = "vllm") -> Engine:
    """Starts the real vLLM, its build for CPUs, with the demo model through its launcher."""
    assert VLLM_PYTHON.exists(), "the real vLLM is not installed: make test-long, or -m 'not vllm' to leave it out"
    port, status_port = free_port(), free_port()
    variables = {
        "VLLM_MODEL_FILE": str(VLLM_MODELS / model_file),
        "VLLM_PYTHON": str(VLLM_PYTHON),
        "VLLM_PORT": str(port),
        "VLLM_STATUS_PORT": str(status_port),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "ENGINE_KEY_FILE": str(key_file),
    }
    # On one core. Its engine turns while it waits; given two, it leaves its own server no time to send what is made:
    # answers come in bursts then (1,200 tokens in 6 reads, asked directly, against 1,200 reads so).
    core = str(max(os.sched_getaffinity(0)))
    command = ("taskset", "-c", core, str(PYTHON), "-m", "vllm_launcher")
    engine = Engine(name, "vllm", Program(name, command, variables, directory), port, status_port, key_file)
    return _started(engine, _VLLM_START_S)


def _started(engine: Engine, seconds: float) -> Engine:
    try:
        engine.program.ready(engine.is_ready, seconds)
    except Exception:
        engine.program.stop()
        raise
    return engine
