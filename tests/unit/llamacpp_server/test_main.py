import subprocess
import sys
from pathlib import Path


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
