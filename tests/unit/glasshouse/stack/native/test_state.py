import os
from dataclasses import replace
from pathlib import Path

import pytest

from glasshouse.stack import processes
from glasshouse.stack.native import state


@pytest.fixture
def current() -> state.State:
    return state.State(
        os.getpid(), processes.start_ticks(os.getpid()), state.boot_id(), "http://127.0.0.1:1", None, None, 35
    )


def test_it_is_read_as_it_was_written(tmp_path: Path, current: state.State) -> None:
    state.write(tmp_path, current)
    assert state.read(tmp_path) == current
    state.clear(tmp_path)
    state.clear(tmp_path)
    assert state.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"nonsense": 1}'])
def test_a_file_of_no_use_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert state.read(tmp_path) is None


def test_a_stale_number_is_not_taken_for_the_stack(current: state.State) -> None:
    assert current.is_running()
    assert not replace(current, started=1).is_running()
    assert not replace(current, boot="another").is_running()
    assert replace(current, boot="another").members(Path.cwd()) == ()
