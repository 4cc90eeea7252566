import json
import socket
import urllib.error
import urllib.request

import pytest

from launcher.errors import ConfigurationError
from launcher.status import Status
from launcher.status_server import StatusServer


def get(port: int, path: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_the_pages() -> None:
    status = Status("데모")
    with StatusServer(status, "127.0.0.1", 0) as server:
        code, kind, body = get(server.port, "/status?x=1")
        assert (code, kind, json.loads(body)["model"]) == (200, "application/json", "데모")
        assert get(server.port, "/livez") == (200, "text/plain; charset=utf-8", "ok\n")
        code, kind, body = get(server.port, "/metrics")
        assert (code, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert 'launcher_state{state="starting"} 1' in body
        assert get(server.port, "/other")[0] == 404


def test_a_reader_that_sends_nothing_holds_up_nobody() -> None:
    with StatusServer(Status("demo"), "127.0.0.1", 0) as server, socket.create_connection(("127.0.0.1", server.port)):
        assert get(server.port, "/livez")[0] == 200


def test_a_taken_port_is_one_clear_sentence() -> None:
    with (
        StatusServer(Status("a"), "127.0.0.1", 0) as first,
        pytest.raises(ConfigurationError, match=rf"^The status port 127\.0\.0\.1:{first.port} cannot be listened at"),
        StatusServer(Status("b"), "127.0.0.1", first.port),
    ):
        pass


def test_the_port_is_free_again_afterwards() -> None:
    with StatusServer(Status("a"), "127.0.0.1", 0) as first:
        port = first.port
    with StatusServer(Status("b"), "127.0.0.1", port):
        assert get(port, "/livez")[0] == 200
