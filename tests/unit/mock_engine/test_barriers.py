"""The mock engine's barriers, and an engine that stops accepting: how a test acts at an exact point."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.http.connection import RawConnection
from tests.support.mock_client import TIMEOUT_S, MockClient

from mock_engine.process import running


def _contents(connection: RawConnection, events: int) -> list[Any]:
    """The contents of this many events, after which no more arrive."""
    while connection.received.count(b"data: ") < events:
        assert connection.read(), connection.received
    connection.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.read()
    connection.socket.settimeout(TIMEOUT_S)
    lines = [line for line in connection.received.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line[6:])["choices"][0]["delta"].get("content") for line in lines]


def _rest(connection: RawConnection, mark: bytes) -> bytes:
    """What arrives from now on until `mark`."""
    connection.reads.clear()
    return connection.read_until(mark)


@pytest.mark.parametrize(
    ("barrier_after", "contents"), [(1, [""]), (2, ["", " w000"]), (4, ["", " w000", " w001", " w002"])]
)
def test_a_stream_waits_after_so_many_events_and_continues_where_it_was(
    mock: MockClient, barrier_after: int, contents: list[str]
) -> None:
    control = {"tokens": 4, "barrier": "a", "barrier_after": barrier_after}
    with mock.connect(stream=True, mock=control) as connection:
        assert _contents(connection, barrier_after) == contents
        assert mock.stats()["at_barriers"] == {"a": 1}
        mock.change(release=["a"])
        rest = _rest(connection, b"[DONE]")
        assert (b"w003" in rest, b"w000" in rest) == (True, barrier_after == 1)
    assert mock.wait_for(lambda stats: not stats["running"])["finished"] == 1


def test_a_stream_can_wait_after_its_last_token(mock: MockClient) -> None:
    with mock.connect(stream=True, mock={"tokens": 2, "barrier": "b", "barrier_after": 9}) as connection:
        assert _contents(connection, 3) == ["", " w000", " w001"]
        mock.change(release=["b"])
        assert b"w00" not in _rest(connection, b"[DONE]")
    assert mock.wait_for(lambda stats: not stats["running"])["finished"] == 1


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_without_a_number_of_events_it_waits_before_the_response(mock: MockClient, stream: bool) -> None:
    with mock.connect(stream=stream, mock={"tokens": 2, "barrier": "c"}) as connection:
        mock.wait_for(lambda stats: stats["at_barriers"] == {"c": 1})
        mock.change(release=["c"])
        assert b"w001" in _rest(connection, b"w001")
    mock.wait_for(lambda stats: stats["finished"] == 1)


def test_a_fault_happens_once_the_barrier_is_released(mock: MockClient) -> None:
    control = {"tokens": 9, "barrier": "d", "barrier_after": 3, "fault": "break:2"}
    with mock.connect(stream=True, mock=control) as connection:
        assert _contents(connection, 3) == ["", " w000", " w001"]
        mock.change(release=["d"])
        with pytest.raises(ConnectionResetError):
            connection.read()
    assert mock.stats()["faulted"] == 1


def test_a_released_barrier_lets_pass_and_a_reset_closes_it(mock: MockClient) -> None:
    mock.change(release=["e"])
    assert mock.chat(mock={"barrier": "e"}).status_code == 200
    mock.change(reset=True)
    with mock.connect(mock={"barrier": "e"}):
        mock.wait_for(lambda stats: stats["at_barriers"] == {"e": 1})
    assert mock.wait_for(lambda stats: not stats["running"])["cancelled"] == 1


def test_a_client_that_disconnects_waits_at_no_barrier(mock: MockClient) -> None:
    with mock.connect(stream=True, mock={"barrier": "f", "barrier_after": 2}), mock.connect(mock={"barrier": "f"}):
        mock.wait_for(lambda stats: stats["at_barriers"] == {"f": 2})
    assert mock.wait_for(lambda stats: stats["cancelled"] == 2)["at_barriers"] == {}
    mock.change(release=["f"])
    assert mock.stats()["running"] == 0


@pytest.mark.parametrize("patch", [{"release": "a"}, {"release": [1]}], ids=str)
def test_barriers_to_release_are_a_list_of_names(mock: MockClient, patch: dict[str, Any]) -> None:
    response = mock.post(**patch)
    assert response.status_code == 400
    assert "release" in response.json()["error"]["message"]


def test_a_barrier_has_a_name_and_a_number_of_events(mock: MockClient) -> None:
    assert mock.chat(mock={"barrier": 1}).status_code == 400
    assert mock.chat(mock={"barrier": "a", "barrier_after": -1}).status_code == 400


@pytest.fixture
def accepting() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    with running() as (process, port):
        yield process, port
    assert process.returncode == 0


def test_an_engine_that_stops_accepting_closes_its_connections_and_takes_no_more(
    accepting: tuple["subprocess.Popen[str]", int],
) -> None:
    process, port = accepting
    with RawConnection(port, TIMEOUT_S) as earlier:
        assert earlier.send(b"GET /health HTTP/1.1\r\nhost: mock\r\n\r\n").read_response().status == 200
        process.send_signal(signal.SIGUSR1)
        assert process.stdout is not None
        assert process.stdout.readline() == "mock engine accepts no more connections\n"
        assert earlier.read() == b""
    for _ in range(3):
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", port), timeout=0.1)
