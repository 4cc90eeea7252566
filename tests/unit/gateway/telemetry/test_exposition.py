"""The server of /metrics: its page on its own port, whatever else it is asked."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.telemetry.exposition import serve_metrics
from gateway.telemetry.slots import wipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
        with httpx.Client(base_url=f"http://{shown}:{server.server_address[1]}", timeout=5, trust_env=False) as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("path", ["/metrics", "/", "/metrics?name[]=x"])
def test_the_page_is_prometheus_text(directory: Path, path: str) -> None:
    with _served(directory) as client:
        answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_there_is_no_other_page_and_nothing_to_post(directory: Path) -> None:
    with _served(directory) as client:
        assert client.get("/keys").status_code == 404
        assert client.post("/metrics").status_code == 501


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_listens_where_it_is_told(directory: Path, host: str) -> None:
    with _served(directory, host) as client:
        assert client.get("/metrics").is_success


def test_many_scrapes_at_once(directory: Path) -> None:
    with _served(directory) as client, ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(lambda _: client.get("/metrics"), range(40))} == {200}


def test_one_that_says_nothing_holds_up_nobody(directory: Path) -> None:
    with _served(directory) as client:
        address = (client.base_url.host, client.base_url.port or 0)
        with socket.create_connection(address, timeout=5):
            assert client.get("/metrics").is_success


def test_a_taken_port_is_an_error(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve_metrics("127.0.0.1", taken.getsockname()[1], directory)
