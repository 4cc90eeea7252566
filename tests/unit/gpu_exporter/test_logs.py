import pytest

from gpu_exporter.logs import DedupLogger, log


def test_a_line_names_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    log("1 of 1 GPUs are read")
    assert capsys.readouterr().out == "gpu-exporter: 1 of 1 GPUs are read\n"


def test_the_same_line_is_logged_once() -> None:
    lines: list[str] = []
    dedup = DedupLogger(lines.append)
    for line in ("a", "b", "a"):
        dedup(line)
    assert lines == ["a", "b"]
