"""The two real engines with the demo model loaded, for verify.py: llama.cpp in this process, vLLM as a child."""

import abc
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
NAME = "glasshouse-demo"
VLLM_PYTHON = HERE.parents[1] / ".venv-vllm" / "bin" / "python"
CONTEXT, SLOTS = 2048, 32
START_SECONDS, REQUEST_SECONDS = 300, 120


class Engine(abc.ABC):
    """An OpenAI-compatible server on this machine."""

    def __init__(self, name: str, base: str) -> None:
        self.name = name
        self._base = base

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST JSON, return JSON."""
        request = urllib.request.Request(  # noqa: S310  # the address is our own, on the loopback interface
            self._base + path,
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310  # as above
            return json.load(answer)

    def chat(self, messages: list[dict[str, Any]]) -> str:
        """The greedy answer to a conversation."""
        body = {"model": NAME, "messages": messages, "temperature": 0, "max_tokens": 512}
        return str(self.post("/v1/chat/completions", body)["choices"][0]["message"]["content"])

    def complete(self, prompt: str) -> str:
        """The greedy continuation of a bare prompt."""
        body = {"model": NAME, "prompt": prompt, "temperature": 0, "max_tokens": 512}
        return str(self.post("/v1/completions", body)["choices"][0]["text"])

    @abc.abstractmethod
    def tokens(self, text: str) -> list[int]:
        """The token ids of a bare text."""

    @abc.abstractmethod
    def chat_tokens(self, messages: list[dict[str, Any]]) -> list[int]:
        """The token ids of a conversation under the engine's chat template."""


class LlamaCpp(Engine):
    """llama.cpp's server."""

    def tokens(self, text: str) -> list[int]:
        """See Engine."""
        return list(self.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"])

    def chat_tokens(self, messages: list[dict[str, Any]]) -> list[int]:
        """See Engine."""
        return self.tokens(self.post("/apply-template", {"messages": messages})["prompt"])


class Vllm(Engine):
    """vLLM's server."""

    def tokens(self, text: str) -> list[int]:
        """See Engine."""
        return list(self.post("/tokenize", {"model": NAME, "prompt": text})["tokens"])

    def chat_tokens(self, messages: list[dict[str, Any]]) -> list[int]:
        """See Engine."""
        return list(self.post("/tokenize", {"model": NAME, "messages": messages})["tokens"])


@contextlib.contextmanager
def llamacpp(model: pathlib.Path, port: int) -> Iterator[Engine]:
    """Serve the GGUF file on the port while the block runs."""
    import xllamacpp  # noqa: PLC0415  # only this engine needs it

    params = xllamacpp.CommonParams()
    params.model.path = str(model / f"{NAME}.gguf")
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = CONTEXT * SLOTS, SLOTS
    params.verbosity = 0
    server = xllamacpp.Server(params)
    yield LlamaCpp("llama.cpp", server.listening_address)
    del server


@contextlib.contextmanager
def vllm(model: pathlib.Path, port: int) -> Iterator[Engine]:
    """Serve the safetensors on the port with vLLM's CPU build while the block runs."""
    command = [str(VLLM_PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--max-num-seqs", str(SLOTS), "--disable-uvicorn-access-log"]
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    own |= {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}  # enough for matrices this small
    environment = {**os.environ, **own}
    log = pathlib.Path(tempfile.gettempdir()) / f"verify-vllm-{port}.log"
    with log.open("w") as sink, subprocess.Popen(command, stdout=sink, stderr=sink, env=environment) as child:  # noqa: S603  # our own interpreter
        try:
            base = f"http://127.0.0.1:{port}"
            print(f"vLLM is starting, its log is {log}", file=sys.stderr)
            _wait(base, child)
            yield Vllm("vLLM", base)
        finally:
            child.terminate()


def _wait(base: str, child: "subprocess.Popen[bytes]") -> None:
    """Return when /health is 200; raise when the child ends or time runs out."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and child.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{base}/health", timeout=5).close()  # noqa: S310  # our own address
            return
        time.sleep(1)
    raise RuntimeError("vLLM did not start; see its log")
