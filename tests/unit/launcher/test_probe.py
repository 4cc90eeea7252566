import socket
from collections.abc import Iterator

import pytest

from launcher import probe
from launcher.errors import EngineError
from launcher.http_server import serve
from launcher.status import Status
from launcher.status_port import routes


@pytest.fixture
def port() -> Iterator[int]:
    with serve(routes(Status("demo")), "127.0.0.1", 0, name="The status port") as port:
        yield port


def test_the_body_of_a_response(port: int) -> None:
    assert probe.get("127.0.0.1", port, "/livez") == "ok\n"


def test_an_engine_that_listens_on_a_wildcard_is_reached_through_loopback(port: int) -> None:
    assert probe.get("0.0.0.0", port, "/livez", key="k") == "ok\n"


def test_a_proxy_of_the_environment_is_not_used(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert probe.get("127.0.0.1", port, "/livez") == "ok\n"


def test_anything_but_200_is_none(port: int) -> None:
    assert probe.get("127.0.0.1", port, "/no") is None
    assert probe.get("127.0.0.1", 1, "/livez") is None


def test_a_silent_server_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert probe.get("127.0.0.1", silent.getsockname()[1], "/", seconds=0.1) is None


def test_a_taken_port(port: int) -> None:
    with pytest.raises(EngineError, match=f"VLLM_PORT={port} cannot be listened at on 127.0.0.1"):
        probe.require_free_port("127.0.0.1", port, "VLLM_PORT")


def test_a_free_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    probe.require_free_port("127.0.0.1", free, "VLLM_PORT")
