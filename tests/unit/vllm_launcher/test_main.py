import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FAKE = Path(__file__).parent / "fake"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Launcher:
    """The launcher as a process, with the fake vLLM in place of the real one; `before` is shell that comes first."""

    def __init__(self, folder: Path, *, before: str = ":", **variables: str) -> None:
        self.port, self.status_port = free_port(), free_port()
        self.log = folder / "log"
        (folder / "a.yaml").write_text("model: owner/name\nserved-model-name: demo\nmax-model-len: 64\n")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(FAKE),
            "VLLM_MODEL_FILE": str(folder / "a.yaml"),
            "VLLM_PORT": str(self.port),
            "VLLM_STATUS_PORT": str(self.status_port),
            **variables,
        }
        with self.log.open("wb") as log:
            command = ["sh", "-c", f'{before}; exec "$0" -m vllm_launcher', sys.executable]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/status", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def until(self, state: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if (status := self.status())["state"] == state:
                    return status
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        pytest.fail(f"never {state}: {self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def message(self, start: str) -> Any:
        (found,) = re.findall(rf"^fake: {start} (.+)$", self.log.read_text(), re.MULTILINE)
        return json.loads(found)


@contextmanager
def launched(folder: Path, *, before: str = ":", **variables: str) -> Iterator[Launcher]:
    launcher = Launcher(folder, before=before, **variables)
    try:
        yield launcher
    finally:
        if launcher.process.poll() is None:
            launcher.process.kill()
            launcher.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_drains(tmp_path: Path, number: int) -> None:
    (tmp_path / "key").write_text("sekret\n")
    with launched(tmp_path, FAKE_VLLM="serve", ENGINE_KEY_FILE=str(tmp_path / "key")) as launcher:
        assert launcher.until("ready")["model"] == "demo"
        argv, child = launcher.message("argv"), launcher.message("env")
        assert launcher.stop(number) == 0

    assert argv[:2] == ["--model", "owner/name"]
    assert argv[argv.index("--port") + 1] == str(launcher.port)
    assert argv[argv.index("--shutdown-timeout") + 1] == "30"
    assert "sekret" not in argv
    assert child == {"FAKE_VLLM": "serve", "VLLM_API_KEY": "(a key)", "VLLM_NO_USAGE_STATS": "1"}  # as the log shows it
    assert launcher.log.read_text().endswith("fake: draining\nfake: drained\n")


def test_several_keys_are_read_from_a_file_that_is_deleted_and_no_log_shows_them(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sekret\n")
    (tmp_path / "key.next").write_text("another\n")
    with launched(tmp_path, FAKE_VLLM="serve", ENGINE_KEY_FILE=str(tmp_path / "key")) as launcher:
        launcher.until("ready")
        argv, child = launcher.message("argv"), launcher.message("env")
        launcher.stop()

    assert argv[:3] == ["--model", "owner/name", "--config"]
    assert not Path(argv[3]).exists()
    assert "'api_key': ['(a key)', '(a key)']" in launcher.log.read_text()
    assert child == {"FAKE_VLLM": "serve", "VLLM_NO_USAGE_STATS": "1"}
    for key in ("sekret", "another"):
        assert key not in launcher.log.read_text()


def test_the_phases_are_exported(tmp_path: Path) -> None:
    with launched(tmp_path, FAKE_VLLM="serve") as launcher:
        launcher.until("ready")
        with urllib.request.urlopen(f"http://127.0.0.1:{launcher.status_port}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        launcher.stop()

    assert re.findall(r'launcher_phase_seconds\{phase="(\w+)"', metrics) == [
        "launching",
        "reading_configuration",
        "starting_engine",
        "loading_weights",
        "compiling",
        "starting_server",
    ]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("out-of-memory", "set max-model-len to 2097024 or less"),
        ("usage", "argument --dtype: invalid choice: 'x'"),
        ("vanish", "vLLM exited with code 5; see its log above."),
    ],
)
def test_a_failure_is_explained_and_the_launcher_lives_on(tmp_path: Path, fault: str, reason: str) -> None:
    with launched(tmp_path, FAKE_VLLM=fault) as launcher:
        status = launcher.until("failed")
        assert reason in status["reason"]
        assert status["retry_at"] > status["since"]
        assert launcher.stop() == 0


def test_a_port_in_use_is_a_failure_that_is_retried(tmp_path: Path) -> None:
    with launched(tmp_path, FAKE_VLLM="vanish") as launcher:
        launcher.until("failed")
        with socket.create_server(("127.0.0.1", launcher.port)):
            deadline = time.monotonic() + 20
            while "cannot be listened at" not in launcher.status()["reason"] and time.monotonic() < deadline:
                time.sleep(0.05)
            assert f"VLLM_PORT={launcher.port} cannot be listened at" in launcher.status()["reason"]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("VLLM_MODEL_FILE", "/no.yaml", "VLLM_MODEL_FILE=/no.yaml cannot be read (No such file or directory); name "),
        (
            "VLLM_STOP_GRACE",
            "soon",
            "VLLM_STOP_GRACE=soon cannot be used; it must be a valid number, ",
        ),
        ("ENGINE_KEY_FILE", "/no", "ENGINE_KEY_FILE=/no cannot be read (No such file or directory); name "),
        ("VLLM_TASK", "embed", "VLLM_TASK: vLLM no longer accepts task: use runner"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_exit_code_2(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    with launched(tmp_path, FAKE_VLLM="serve", **{variable: value}) as launcher:
        assert launcher.process.wait(30) == 2

    assert launcher.log.read_text().startswith(message)
    assert launcher.log.read_text().count("\n") == 1


def test_help() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "vllm_launcher", "--help"], capture_output=True, text=True, check=True
    )

    assert "--model-file FILE" in answer.stdout


def test_vllm_gets_the_hard_limit_of_open_files_and_a_low_one_is_reported(tmp_path: Path) -> None:
    with launched(tmp_path, before="ulimit -S -n 512; ulimit -H -n 1000", FAKE_VLLM="serve") as launcher:
        launcher.until("ready")
        (vllm,) = Path(f"/proc/{launcher.process.pid}/task/{launcher.process.pid}/children").read_text().split()
        assert resource.prlimit(int(vllm), resource.RLIMIT_NOFILE) == (1_000, 1_000)
        launcher.stop()

    assert launcher.log.read_text().startswith("launcher: RLIMIT_NOFILE=1000 ")
