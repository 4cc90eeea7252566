import sys
from pathlib import Path

import pytest

from launcher.errors import ConfigurationError
from vllm_launcher.interpreter import serve_command

FAKE = Path(__file__).parent / "fake"


def test_a_build_whose_command_finds_no_distribution_is_run_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKE))

    assert serve_command("", "a/b") == (sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", "a/b")


def test_a_whole_distribution_is_run_as_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "vllm-0.32.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert serve_command(sys.executable, "a/b") == (sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", "a/b")


def test_without_vllm_here_the_command_on_the_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "vllm"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert serve_command("", "a/b") == (str(command), "serve", "a/b")


def test_no_vllm_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vllm").mkdir()  # a directory that only has the name, as in this repository
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match=r"^VLLM_PYTHON=\(not set\): .* has no vLLM; name"):
        serve_command("", "a/b")


@pytest.mark.parametrize("python", ["/no/python", "/bin/false"])
def test_a_program_that_is_no_interpreter(python: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^VLLM_PYTHON={python} does not run"):
        serve_command(python, "a/b")
