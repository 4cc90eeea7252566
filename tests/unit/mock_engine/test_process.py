"""The mock engine as a process: its command line, and how a runner learns its port."""

import pytest

from mock_engine.process import command, ready_port, running


def test_the_port_is_free_unless_an_option_names_one() -> None:
    assert command()[-2:] == ["--port", "0"]
    assert command("--port", "18200")[-2:] == ["--port", "18200"]


def test_the_port_is_known_once_it_is_printed() -> None:
    assert ready_port("starting\n") is None
    assert ready_port("starting\nmock engine ready on http://127.0.0.1:18200\n") == 18200


def test_a_mock_engine_that_does_not_start_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="not ready"), running("--owned-by", "nobody"):
        pass
