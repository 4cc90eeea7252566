"""Finds vLLM: the GPU image's `vllm`, or the CPU build, whose command cannot find its own distribution."""

import shutil
import subprocess
import sys

from launcher.errors import ConfigurationError

_PROBE = """
import importlib.metadata, importlib.util
try:
    importlib.metadata.version("vllm")
    print("command")
except importlib.metadata.PackageNotFoundError:
    found = importlib.util.find_spec("vllm")
    print("module" if found and found.origin else "none")  # a directory that happens to be called vllm has no origin
"""
_PROBE_TIMEOUT_S = 30


def serve_command(python: str, model: str) -> tuple[str, ...]:
    """Return the command line that serves a model, up to where the options begin.

    Args:
        python: the interpreter that has vLLM; empty for the launcher's own and, where that has none, the PATH's `vllm`.
        model: repository name or directory: `vllm serve` takes it as first argument, the module as an option.

    Raises:
        ConfigurationError: vLLM is not installed.
    """
    interpreter = python or sys.executable
    match _probe(interpreter):
        case "command":
            return (interpreter, "-m", "vllm.entrypoints.cli.main", "serve", model)
        case "module":
            return (interpreter, "-m", "vllm.entrypoints.openai.api_server", "--model", model)
    command = shutil.which("vllm")
    if command is not None and not python:
        return (command, "serve", model)
    raise ConfigurationError(
        f"VLLM_PYTHON={python or '(not set)'}: {interpreter} has no vLLM; name an interpreter that has it."
    )


def _probe(interpreter: str) -> str:
    try:
        result = subprocess.run(  # noqa: S603 -- the operator chooses the interpreter
            (interpreter, "-c", _PROBE), capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(f"VLLM_PYTHON={interpreter} does not run; name a Python interpreter.") from error
    return result.stdout.strip()
