from pathlib import Path

import pytest

from glasshouse.errors import StackError
from glasshouse.stack.native import logs


def test_the_last_lines_are_shown_with_their_programs_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.log").write_text("one\ntwo\nthree\n")
    (tmp_path / "nginx.log").write_text("only\n")
    logs.show(tmp_path, None, 2)
    assert capsys.readouterr().out.splitlines() == ["gateway    | two", "gateway    | three", "nginx      | only"]


def test_an_unknown_log_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no logs yet"):
        logs.show(tmp_path, None, 2)
    (tmp_path / "gateway.log").write_text("one\n")
    with pytest.raises(StackError, match="There are: gateway"):
        logs.show(tmp_path, "gate", 2)


def test_only_lines_of_this_start_are_taken(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("old\n")
    ends = logs.sizes(tmp_path)
    with log.open("a") as file:
        file.write("new\n")
    assert logs.tail(log, 5, since=ends["gateway"]) == ["new"]
    log.write_text("r\n")  # rotated meanwhile: shorter than it was
    assert logs.tail(log, 5, since=ends["gateway"]) == ["r"]
    assert logs.tail(tmp_path / "none.log", 5) == []


def test_following_goes_on_over_a_rotation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("before\n")
    steps = iter(("first\nhal", "f\n", "rotate", "new program", "end"))

    def step() -> bool:
        match next(steps):
            case "end":
                return True
            case "rotate":
                log.rename(tmp_path / "gateway.log.1")
                log.write_text("after\n")
            case "new program":
                (tmp_path / "nginx.log").write_text("hello\n")
            case text:
                with log.open("a") as file:
                    file.write(text)
        return False

    logs.follow(tmp_path, None, until=step)
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["gateway    | first", "gateway    | half", "gateway    | after", "nginx      | hello"]
