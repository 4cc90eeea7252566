"""Other gateways from PyPI, each in a virtual environment of its own: `.venv-bench/NAME`, from `peers/NAME.lock`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import child
from benchmarks.load import Endpoint
from benchmarks.targets.engine import MODEL
from benchmarks.targets.target import ROOT, Target, UnavailableError, Workspace, launch

LOCKS = ROOT / "benchmarks" / "peers"
ENVIRONMENTS = ROOT / ".venv-bench"  # which git ignores
INSTALL_TIMEOUT_S = 900
LAST_LINES = 8  # of what uv said


def install(name: str) -> Path:
    """Install a peer unless it is there as locked; return the folder with its programs.

    Raises:
        UnavailableError: it cannot be installed here.
    """
    lock, environment = LOCKS / f"{name}.lock", ENVIRONMENTS / name
    installed = environment / "installed.lock"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if uv is None:
            raise UnavailableError("uv is not installed (make .venv/.installed)")
        print(f"installing {name} into {environment.relative_to(ROOT)} …", file=sys.stderr, flush=True)
        _run(uv, "venv", "--clear", "--python", sys.executable, str(environment))
        python = str(environment / "bin" / "python")
        _run(uv, "pip", "install", "--python", python, "--no-build", "--require-hashes", "-r", str(lock))
        installed.write_bytes(lock.read_bytes())
    return environment / "bin"


def version(name: str) -> str:
    """Return the version of a peer that is locked."""
    found = re.search(rf"^{re.escape(name)}(?:\[\w+\])?==([\w.]+)", (LOCKS / f"{name}.lock").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def start_vllm_router(workspace: Workspace) -> Target:
    """Start vllm-router, which speaks to one worker; only errors are logged."""
    return _start_router(workspace, "vllm-router", [str(install("vllm-router") / "vllm-router")])


def start_smg(workspace: Workspace) -> Target:
    """Start the Shepherd Model Gateway, likewise."""
    return _start_router(workspace, "smg", [str(install("smg") / "smg"), "launch"])


def start_sglang_router(workspace: Workspace) -> Target:
    """Start sglang-router, likewise."""
    python = install("sglang-router") / "python"
    return _start_router(workspace, "sglang-router", [str(python), "-m", "sglang_router.launch_router"])


def _start_router(workspace: Workspace, name: str, program: list[str]) -> Target:
    """Start one of the three routers, which have the same options."""
    port, metrics_port = workspace.port(), workspace.port()
    options = {
        "--worker-urls": workspace.engine_url,
        "--policy": "round_robin",
        "--host": child.HOST,
        "--port": str(port),
        "--prometheus-port": str(metrics_port),
        "--log-level": "error",
    }
    command = [*program, *(word for option in options.items() for word in option)]
    return launch(workspace, name, command, Endpoint(port, workspace.key, MODEL))


def start_tensorzero(workspace: Workspace) -> Target:
    """Start tensorzero's gateway inside a Python process, as its package has it; without its database."""
    python = install("tensorzero") / "python"
    configuration = workspace.write(
        "tensorzero.toml",
        "[gateway]\nobservability.enabled = false\n"
        f'[models.{MODEL}]\nrouting = ["engine"]\n'
        f'[models.{MODEL}.providers.engine]\ntype = "vllm"\nmodel_name = "{MODEL}"\napi_key_location = "none"\n'
        f'api_base = "{workspace.engine_url}/v1/"\n',
    )
    port_file = workspace.directory / "tensorzero.port"
    port_file.unlink(missing_ok=True)
    command = [str(python), str(LOCKS / "tensorzero_gateway.py"), str(configuration), str(port_file)]

    def endpoint() -> Endpoint | None:  # it chooses its port itself
        port = port_file.read_text(encoding="utf-8") if port_file.exists() else ""
        path, model = "/openai/v1/chat/completions", f"tensorzero::model_name::{MODEL}"
        return Endpoint(int(port), workspace.key, model, path) if port else None

    return launch(workspace, "tensorzero", command, endpoint)


def start_litellm(workspace: Workspace) -> Target:
    """Start LiteLLM's proxy with one worker and a master key, without a database."""
    program = install("litellm") / "litellm"
    port = workspace.port()
    configuration = workspace.write(
        "litellm.yaml",
        f"model_list:\n  - model_name: {MODEL}\n    litellm_params:\n"
        f"      {{model: hosted_vllm/{MODEL}, api_base: '{workspace.engine_url}/v1', api_key: none}}\n",
    )
    settings = {
        "LITELLM_MASTER_KEY": workspace.key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it fetches one from the network at its start
        "LITELLM_LOG": "ERROR",
    }
    options = ["--config", str(configuration), "--host", child.HOST, "--port", str(port), "--num_workers", "1"]
    return launch(workspace, "litellm", [str(program), *options], Endpoint(port, workspace.key, MODEL), settings)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[-LAST_LINES:])
        raise UnavailableError(f"it cannot be installed: {said}")
