"""The launchers with the real engines and the demo model: start, answer, refuse, drain, leave nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from vllm_launcher import environment, options

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "models" / "demo"
VLLM_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
KEY, NEXT_KEY = "sekret-engine-key", "the-engine-key-after-that"
CANARY = "canary-prompt"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def group(session: int) -> set[int]:
    """The running processes of a session: a launcher and what it has started lead sessions of their own."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, of_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(of_session) == session and state != "Z":
                found.add(int(entry.name))
    return found


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Launched:
    """A launcher of a real engine."""

    def __init__(self, folder: Path, module: str, variables: dict[str, str], start_seconds: float) -> None:
        self.port, self.status_port = free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        self._start_seconds = start_seconds
        key = folder / "engine-key"
        key.write_text(KEY + "\n")
        key.with_name("engine-key.next").write_text(NEXT_KEY + "\n")
        prefix = "VLLM" if module == "vllm_launcher" else "LLAMACPP"
        environ = {name: text for name, text in os.environ.items() if not name.startswith(("VLLM_", "LLAMACPP_"))}
        environ |= {
            f"{prefix}_PORT": str(self.port),
            f"{prefix}_STATUS_PORT": str(self.status_port),
            "ENGINE_KEY_FILE": str(key),
            **variables,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module], cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT
            )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.status_port}/status").json()
        return found

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.status_port}/metrics").text

    def until(self, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + self._start_seconds
        while time.monotonic() < deadline:
            try:
                if (status := self.status())["state"] in states:
                    return status
            except httpx.TransportError:
                assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        pytest.fail(f"never {states}: {self.log.read_text()}")

    def chat(self, *, key: str = KEY, **fields: Any) -> httpx.Response:
        body = {"model": "glasshouse-demo", "messages": [{"role": "user", "content": CANARY}], **fields}
        return httpx.post(
            f"{self.base}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60
        )

    def engine(self) -> int:
        (pid,) = children(self.process.pid)
        return pid


@contextmanager
def launched(folder: Path, module: str, variables: dict[str, str], start_seconds: float) -> Iterator[Launched]:
    launcher = Launched(folder, module, variables, start_seconds)
    try:
        yield launcher
    finally:
        if launcher.process.poll() is None:
            launcher.process.terminate()
            launcher.process.wait(60)


def stream_over_a_stop(launcher: Launched, **fields: Any) -> tuple[str, float]:
    """Stop the launcher when a stream has begun; gives the stream's last line and how long the stop took."""
    last = ""
    body = {
        "model": "glasshouse-demo",
        "messages": [{"role": "user", "content": CANARY}],
        "stream": True,
        "ignore_eos": True,
        **fields,
    }
    stopped = 0.0
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.stream("POST", f"{launcher.base}/v1/chat/completions", json=body, headers=headers, timeout=60) as answer:
        for number, line in enumerate(line for line in answer.iter_lines() if line):
            if number == 3:
                stopped = time.monotonic()
                launcher.process.send_signal(signal.SIGTERM)
                threading.Event().wait(0.3)
                assert launcher.status()["state"] == "draining"
            last = line
    assert launcher.process.wait(60) == 0
    return last, time.monotonic() - stopped


def check_engine(launcher: Launched) -> None:
    """What holds for either engine."""
    answer = launcher.chat(max_tokens=8)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "glasshouse-demo"
    assert answer.json()["choices"][0]["message"]["content"]
    assert launcher.chat(key=NEXT_KEY, max_tokens=8).status_code == 200
    assert launcher.chat(key="wrong", max_tokens=8).status_code == 401
    foreign = httpx.get(
        f"{launcher.base}/v1/models",
        headers={"Authorization": f"Bearer {KEY}", "Origin": "https://elsewhere.example"},
    )
    assert [model["id"] for model in foreign.json()["data"]] == ["glasshouse-demo"]
    assert foreign.headers.get("access-control-allow-origin", "") == ""


def check_nothing_is_left(launcher: Launched, session: int) -> None:
    deadline = time.monotonic() + 20
    while group(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert group(session) == set()
    log = launcher.log.read_text()
    assert CANARY not in log
    assert KEY not in log
    assert NEXT_KEY not in log


def test_llama_cpp_from_start_to_stop(tmp_path: Path) -> None:
    # One thread: two that wait for each other take many times as long where something else has one of the cores.
    variables = {"LLAMACPP_STOP_GRACE": "60", "LLAMACPP_THREADS": "1"}
    with launched(tmp_path, "llamacpp_server", variables, 30) as launcher:
        assert launcher.until("ready", "failed")["state"] == "ready"
        assert 'launcher_phase_seconds{phase="loading_weights"}' in launcher.metrics()
        check_engine(launcher)
        headers = {"Authorization": f"Bearer {KEY}"}
        embedded = httpx.post(f"{launcher.base}/v1/embeddings", json={"input": [CANARY]}, headers=headers)
        assert len(embedded.json()["data"][0]["embedding"]) > 1
        assert httpx.get(f"{launcher.base}/slots", headers=headers).status_code == 501
        assert "llamacpp:requests_processing" in httpx.get(f"{launcher.base}/metrics", headers=headers).text
        for content in ('{"' + CANARY, json.dumps({"messages": CANARY})):
            assert (
                httpx.post(f"{launcher.base}/v1/chat/completions", content=content, headers=headers).status_code == 400
            )
        schema = {"type": "json_schema", "json_schema": {"schema": {"type": CANARY}}}
        assert launcher.chat(response_format=schema).status_code == 400
        engine = launcher.engine()
        last, seconds = stream_over_a_stop(launcher, max_tokens=1500)

    assert last == "data: [DONE]"
    assert seconds < 60
    check_nothing_is_left(launcher, engine)


def test_llama_cpp_cuts_what_outlasts_the_grace(tmp_path: Path) -> None:
    variables = {"LLAMACPP_STOP_GRACE": "0", "LLAMACPP_THREADS": "1"}
    with launched(tmp_path, "llamacpp_server", variables, 30) as launcher:
        launcher.until("ready")
        engine = launcher.engine()
        with pytest.raises(httpx.TransportError):
            stream_over_a_stop(launcher, max_tokens=2000)
        assert launcher.process.wait(20) == 0

    check_nothing_is_left(launcher, engine)


def test_llama_cpp_waits_for_a_broken_model_to_change(tmp_path: Path) -> None:
    whole = (DEMO / "glasshouse-demo.gguf").read_bytes()
    model = tmp_path / "cut.gguf"
    model.write_bytes(whole[: len(whole) // 2])
    with launched(tmp_path, "llamacpp_server", {"LLAMACPP_MODEL": str(model)}, 30) as launcher:
        failed = launcher.until("failed")
        assert f"llama.cpp could not load {model}" in failed["reason"]
        assert failed["retry_at"] > failed["since"]
        complete = tmp_path / "whole"
        complete.write_bytes(whole)
        complete.rename(model)
        assert launcher.until("ready")["model"] == "cut"


def test_llama_cpp_dies_with_a_killed_launcher(tmp_path: Path) -> None:
    with launched(tmp_path, "llamacpp_server", {}, 30) as launcher:
        launcher.until("ready")
        engine = launcher.engine()
        launcher.process.kill()
        launcher.process.wait(10)

    check_nothing_is_left(launcher, engine)


VLLM = {
    "VLLM_PYTHON": str(VLLM_PYTHON),
    "VLLM_MODEL_FILE": "services/vllm/models/demo.yaml",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_STOP_GRACE": "30",
}


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_vllm_from_start_to_stop(tmp_path: Path) -> None:
    with launched(tmp_path, "vllm_launcher", VLLM, 400) as launcher:
        assert launcher.until("ready", "failed")["state"] == "ready"
        for phase in ("launching", "reading_configuration", "starting_engine", "loading_weights", "starting_server"):
            assert f'launcher_phase_seconds{{phase="{phase}"}}' in launcher.metrics()
        check_engine(launcher)
        assert launcher.chat(messages=CANARY).status_code == 400
        engine = launcher.engine()
        assert len(group(engine)) > 1  # the engine's own processes are in the session that must end as a whole
        last, seconds = stream_over_a_stop(launcher, max_tokens=1500)

    assert last == "data: [DONE]"
    assert seconds < 30 + 20
    check_nothing_is_left(launcher, engine)


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_vllm_reports_the_length_that_fits_and_dies_with_a_killed_launcher(tmp_path: Path) -> None:
    variables = {**VLLM, "VLLM_MAX_MODEL_LEN": "50000000", "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}
    with launched(tmp_path, "vllm_launcher", variables, 400) as launcher:
        reason = launcher.until("ready", "failed")["reason"]
        assert "max-model-len 50000000 needs " in reason
        assert "set max-model-len to " in reason
        deadline = time.monotonic() + 60
        while not children(launcher.process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        engine = launcher.engine()
        launcher.process.kill()
        launcher.process.wait(10)

    check_nothing_is_left(launcher, engine)


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_the_list_of_options_is_vllms() -> None:
    answer = subprocess.run(
        [str(VLLM_PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--help=all"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert options.parse_help(answer.stdout) == sorted(options.known_options().items())


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_a_translated_variable_is_not_one_that_vllm_reads_itself() -> None:
    code = "import json, vllm.envs; print(json.dumps(list(vllm.envs.environment_variables)))"
    answer = subprocess.run([str(VLLM_PYTHON), "-c", code], capture_output=True, text=True, check=True)
    own = set(json.loads(answer.stdout.splitlines()[-1]))
    translated = {name for name in own if environment.child_environment({name: "1"}).get(name) is None}

    assert translated == {"VLLM_API_KEY", "VLLM_PORT"}
