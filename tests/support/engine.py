"""The real engines, each started by its launcher as in production."""

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
    expected_state: str = "ready"

    @property
    def address(self) -> str:
        """As in `ENGINES`."""
        return f"{self.name}=http://{HOST}:{self.port}+http://{HOST}:{self.status_port}"

    @property
    def http(self) -> httpx.Client:
        """A client of the engine itself, without the gateway; close it (`with`)."""
        headers = {"authorization": f"Bearer {self.key_file.read_text('ascii')}"}
        return httpx.Client(base_url=f"http://{HOST}:{self.port}", headers=headers, timeout=60, trust_env=False)

    def status(self) -> dict[str, Any]:
        """The status that its launcher reports."""
        found: dict[str, Any] = httpx.get(f"http://{HOST}:{self.status_port}/status", trust_env=False).json()
        return found

    def is_ready(self) -> bool:
        """Whether its launcher reports the expected state."""
        try:
            return bool(self.status()["state"] == self.expected_state)
        except (httpx.TransportError, json.JSONDecodeError):
            return False

    def context(self) -> int:
        """The context length that it reports, in tokens of prompt and answer together."""
        with self.http as http:
            row = http.get("/v1/models").json()["data"][0]
        return int(row["max_model_len"] if self.kind == "vllm" else row["meta"]["n_ctx"])

    def scrape(self, http: httpx.Client) -> Samples:
        return Samples.parse(http.get("/metrics").raise_for_status().text)

    def busy(self, http: httpx.Client) -> int:
        """Requests that it runs or queues, by its own metrics."""
        running, waiting = (int(self.scrape(http).total(name)) for name in _BUSY[self.kind])
        # llama.cpp's number of deferred requests includes the scrape itself when all slots are taken.
        return running + (waiting if self.kind == "vllm" or running else 0)

    def generated(self, http: httpx.Client) -> int:
        """Tokens generated since its start."""
        return int(self.scrape(http).total(_GENERATED[self.kind]))

    def engine_pid(self) -> int:
        """The pid of the engine itself, a child of the launcher."""
        (pid,) = self.program.children()
        return pid


def start_llamacpp(
    directory: Path, key_file: Path, *, name: str = "llamacpp", expected_state: str = "ready", **settings: str
) -> Engine:
    """Starts llama.cpp with the demo model through its launcher, and waits for the expected state."""
    port, status_port = free_port(), free_port()
    variables = {
        "LLAMACPP_MODEL": str(GGUF),
        "LLAMACPP_PORT": str(port),
        "LLAMACPP_STATUS_PORT": str(status_port),
        "LLAMACPP_THREADS": "1",  # the other core is for the gateway and the clients: these tests run on small machines
        "ENGINE_KEY_FILE": str(key_file),
        **settings,
    }
    command = (str(PYTHON), "-m", "llamacpp_server")
    engine = Engine(
        name, "llamacpp", Program(name, command, variables, directory), port, status_port, key_file, expected_state
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
    # On one core. Its engine busy-waits; with two cores it leaves its own server no time to send what is generated:
    # responses then come in bursts (1,200 tokens in 6 reads from the engine itself, against 1,200 reads on one core).
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
