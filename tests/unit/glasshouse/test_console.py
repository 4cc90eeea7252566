import pytest

from glasshouse.console import Progress, duration, table


def test_tables_are_aligned_and_have_no_trailing_space() -> None:
    assert table([("a", "bbb"), ("cc", "d")]) == "  a   bbb\n  cc  d"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (3_725, "1 h 2 min"), (7_200, "2 h 0 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_without_a_terminal_a_line_comes_only_when_something_changes(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for text in ("gateway", "gateway", "nginx", "nginx"):
            progress.show(text)
    shown = capsys.readouterr().out
    assert [line.split()[-1] for line in shown.splitlines()] == ["gateway", "nginx"]
    assert "\r" not in shown
