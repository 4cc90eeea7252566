"""The server of /metrics: its page on its own port, whatever else it is asked."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from loguru import logger

from gateway.telemetry.multiprocess.server import serve_metrics
from gateway.telemetry.multiprocess.slots import wipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def _file(series: int) -> bytes:
    """As prometheus-client writes one."""

    def entry(number: int) -> bytes:
        key = json.dumps(["m", "m_total", {"n": f"{number} " + "x" * 1_000}, "help"]).encode()
        padding = b" " * (8 - (len(key) + 4) % 8)
        return struct.pack("i", len(key)) + key + padding + struct.pack("dd", 1.0, 0.0)

    entries = b"".join(map(entry, range(series)))
    return struct.pack("ii", 8 + len(entries), 0) + entries


# Of a page that no socket's buffer holds.
PAGE = _file(8_000)


def until(condition: Callable[[], bool], patience_s: float = 20.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "metrics"
    wipe(made)
    return made


@contextmanager
def _served(directory: Path, host: str = "127.0.0.1") -> Iterator[httpx.Client]:
    server = serve_metrics(host, 0, directory)
    shown = f"[{host}]" if ":" in host else host
    try:
        with httpx.Client(base_url=f"http://{shown}:{server.server_address[1]}", timeout=60, trust_env=False) as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("path", ["/metrics", "/", "/metrics?name[]=x"])
def test_the_response_is_prometheus_text(directory: Path, path: str) -> None:
    with _served(directory) as client:
        answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_other_paths_and_methods_are_refused(directory: Path) -> None:
    with _served(directory) as client:
        assert client.get("/keys").status_code == 404
        assert client.post("/metrics").status_code == 501


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_listens_on_the_given_address(directory: Path, host: str) -> None:
    with _served(directory, host) as client:
        assert client.get("/metrics").is_success


def test_many_scrapes_at_once(directory: Path) -> None:
    with _served(directory) as client, ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(lambda _: client.get("/metrics"), range(40))} == {200}


def test_a_silent_client_does_not_block_others(directory: Path) -> None:
    with _served(directory) as client:
        address = (client.base_url.host, client.base_url.port or 0)
        with socket.create_connection(address, timeout=5):
            assert client.get("/metrics").is_success


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    logger.remove()
    sink = logger.add(lines.append, format="{message} {exception}", diagnose=False)
    yield lines
    logger.remove(sink)


def _address(client: httpx.Client) -> tuple[str, int]:
    return client.base_url.host, client.base_url.port or 0


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nhost: ",
        b"",
        b"\x00\xff" * 100 + b"\r\n\r\n",
        b"GET " + b"/" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1_000,
        b"\x16\x03\x01 \r\n",
    ],
)
def test_one_that_hangs_up_is_no_news(
    directory: Path, logged: list[str], capfd: pytest.CaptureFixture[str], sent: bytes
) -> None:
    (directory / "counter_0.db").write_bytes(PAGE)
    with _served(directory) as client:
        before = set(threading.enumerate())
        for ends in (_reset, socket.socket.close):
            connection = socket.create_connection(_address(client), timeout=5)
            connection.sendall(sent)
            ends(connection)
        until(lambda: client.get("/metrics").is_success)
        until(lambda: before.issuperset(threading.enumerate()))
    assert (logged, capfd.readouterr()) == ([], ("", ""))


def test_what_goes_wrong_is_logged_and_answered(
    directory: Path, logged: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    (directory / "gauge_min_0.db").write_bytes(b"")
    with _served(directory) as client:
        assert client.get("/metrics").status_code == 500
        (directory / "gauge_min_0.db").unlink()
        assert client.get("/metrics").status_code == 200
    assert ["holds metrics that cannot be merged" in line for line in logged] == [True]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\na: "])
def test_those_who_say_nothing_or_little_are_cut_off_and_hold_up_nobody(
    directory: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("gateway.telemetry.multiprocess.server._TIMEOUT_S", 1.0)
    with _served(directory) as client:
        slow = [socket.create_connection(_address(client), timeout=5) for _ in range(20)]
        for connection in slow:
            connection.sendall(sent)
        assert client.get("/metrics").is_success
        began = time.monotonic()
        for connection in slow:
            try:
                while True:  # a byte now and then does not help
                    connection.sendall(sent[-1:])
                    connection.settimeout(0.05)
                    with suppress(TimeoutError):
                        if not connection.recv(1):
                            break
            except OSError:
                pass
            connection.close()
        assert time.monotonic() - began < 30


def test_of_too_many_the_last_are_closed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.telemetry.multiprocess.server._MAX_CONNECTIONS", 3)
    with _served(directory) as client:
        held = [socket.create_connection(_address(client), timeout=5) for _ in range(4)]
        assert held[3].recv(1) == b""
        for connection in held:
            connection.close()

        def answers() -> bool:
            with suppress(httpx.TransportError):
                return client.get("/metrics").is_success
            return False

        until(answers)


def test_one_that_does_not_read_holds_up_nobody(directory: Path) -> None:
    (directory / "counter_0.db").write_bytes(PAGE)
    with _served(directory) as client, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
        slow.connect(_address(client))
        slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert len(client.get("/metrics").content) > 1_000_000


def test_a_port_in_use_is_an_error(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve_metrics("127.0.0.1", taken.getsockname()[1], directory)
