import socket
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[3] / "models" / "demo" / "glasshouse-demo.gguf"


def test_a_wrong_file_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "llamacpp_server", "--model", "/no/model.gguf"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        "LLAMACPP_MODEL=/no/model.gguf cannot be read (No such file or directory); name a .gguf file that exists.\n"
    )


@pytest.mark.parametrize(("hard", "reported"), [(1_000, "launcher: RLIMIT_NOFILE=1000 "), (5_000, "")])
def test_a_low_limit_of_open_files_is_reported_at_the_start(hard: int, reported: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # which ends the start after that
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "llamacpp_server", f"--model={DEMO}", f"--status-port={port}"]
        answer = subprocess.run(
            ["sh", "-c", f'ulimit -S -n 512; ulimit -H -n {hard}; exec "$@"', "sh", *command],
            capture_output=True,
            text=True,
            check=False,
        )

    assert answer.returncode == 2
    assert answer.stdout.startswith(reported)
    assert len(answer.stdout.splitlines()) == bool(reported)
