"""The mock engine's gates and its deafness: how a test acts at an exact point."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.mock_engine.conftest import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator


def _received(connection: socket.socket, events: int) -> list[bytes]:
    """Read so many events, and find that no more come."""
    data = b""
    while data.count(b"data: ") < events:
        data += connection.recv(65_536)
    connection.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(PATIENCE_S)
    return [line for line in data.split(b"\n") if line.startswith(b"data: ")]


def _rest(connection: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        piece = connection.recv(65_536)
        if not piece:
            break
        data += piece
    return data


def _said(events: list[bytes]) -> list[Any]:
    return [json.loads(event[6:])["choices"][0]["delta"].get("content") for event in events]


@pytest.mark.parametrize(("hold", "said"), [(1, [""]), (2, ["", " w000"]), (4, ["", " w000", " w001", " w002"])])
def test_a_stream_stands_still_after_so_many_events_and_goes_on_where_it_stood(
    mock: Any, hold: int, said: list[str]
) -> None:
    with mock.connect(stream=True, mock={"tokens": 4, "gate": "a", "hold": hold}) as connection:
        assert _said(_received(connection, hold)) == said
        assert mock.truth()["standing"] == {"a": 1}
        mock.change(open=["a"])
        rest = _rest(connection, b"[DONE]")
        assert (b"w003" in rest, b"w000" in rest) == (True, hold == 1)
    assert mock.wait_for(lambda truth: not truth["running"])["finished"] == 1


def test_a_stream_can_stand_behind_its_last_token(mock: Any) -> None:
    with mock.connect(stream=True, mock={"tokens": 2, "gate": "b", "hold": 9}) as connection:
        assert _said(_received(connection, 3)) == ["", " w000", " w001"]
        mock.change(open=["b"])
        assert b"w00" not in _rest(connection, b"[DONE]")
    assert mock.wait_for(lambda truth: not truth["running"])["finished"] == 1


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_with_no_events_it_stands_before_the_answer(mock: Any, stream: bool) -> None:
    with mock.connect(stream=stream, mock={"tokens": 2, "gate": "c"}) as connection:
        mock.wait_for(lambda truth: truth["standing"] == {"c": 1})
        mock.change(open=["c"])
        assert b"w001" in _rest(connection, b"w001")
    mock.wait_for(lambda truth: truth["finished"] == 1)


def test_a_fault_comes_once_the_gate_is_open(mock: Any) -> None:
    with mock.connect(stream=True, mock={"tokens": 9, "gate": "d", "hold": 3, "fault": "break:2"}) as connection:
        assert _said(_received(connection, 3)) == ["", " w000", " w001"]
        mock.change(open=["d"])
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert mock.truth()["faulted"] == 1


def test_an_open_gate_lets_pass_and_a_reset_shuts_it(mock: Any) -> None:
    mock.change(open=["e"])
    assert mock.chat(mock={"gate": "e"}).status_code == 200
    mock.change(reset=True)
    with mock.connect(mock={"gate": "e"}):
        mock.wait_for(lambda truth: truth["standing"] == {"e": 1})
    assert mock.wait_for(lambda truth: not truth["running"])["cancelled"] == 1


def test_who_leaves_stands_nowhere_any_more(mock: Any) -> None:
    with mock.connect(stream=True, mock={"gate": "f", "hold": 2}), mock.connect(mock={"gate": "f"}):
        mock.wait_for(lambda truth: truth["standing"] == {"f": 2})
    assert mock.wait_for(lambda truth: truth["cancelled"] == 2)["standing"] == {}
    mock.change(open=["f"])
    assert mock.truth()["running"] == 0


@pytest.mark.parametrize(("patch", "field"), [({"open": "a"}, "open"), ({"open": [1]}, "open")])
def test_gates_are_named_in_a_list(mock: Any, patch: dict[str, Any], field: str) -> None:
    answer = mock.change(**patch)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]


def test_a_gate_has_a_name_and_a_hold_is_a_number(mock: Any) -> None:
    assert mock.chat(mock={"gate": 1}).status_code == 400
    assert mock.chat(mock={"gate": "a", "hold": -1}).status_code == 400


@pytest.fixture
def hearing() -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "mock_engine", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().rpartition(":")[2])
        process.terminate()
        process.wait(PATIENCE_S)
    assert process.returncode == 0


def test_a_deaf_engine_hangs_up_and_takes_no_connection(hearing: tuple[subprocess.Popen[str], int]) -> None:
    process, port = hearing
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as earlier:
        earlier.sendall(b"GET /health HTTP/1.1\r\nhost: mock\r\n\r\n")
        assert earlier.recv(4096).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGUSR1)
        assert process.stdout is not None
        assert process.stdout.readline() == "mock engine deaf\n"
        assert earlier.recv(1) == b""
    for _ in range(3):
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", port), timeout=0.1)
