import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from launcher.errors import ConfigurationError
from launcher.http_server import TEXT, Response, serve

ROUTES = {"/livez": lambda: Response("ok\n"), "/status": lambda: Response('{"model": "데모"}', "application/json")}


def serving(host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[int]:
    return serve(ROUTES, host, port, name=f"The status port {host}:{port}")


@pytest.fixture
def port() -> Iterator[int]:
    with serving() as port:
        yield port


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=5) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_routes(port: int) -> None:
    assert get(port, "/livez") == (200, TEXT, "ok\n")
    assert get(port, "/status?x=1") == (200, "application/json", '{"model": "데모"}')


def test_an_unknown_path_lists_the_routes(port: int) -> None:
    assert get(port, "/other") == (404, TEXT, "Not found. Served here: /livez, /status\n")


def test_a_client_that_sends_nothing_blocks_nobody(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)):
        assert get(port, "/livez")[0] == 200


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_an_ipv6_address() -> None:
    if has_ipv6():
        with serving("::1") as port:
            assert get(port, "/livez", "[::1]")[0] == 200
    else:
        with pytest.raises(ConfigurationError, match="cannot be listened at"), serving("::1"):
            pass


def test_a_port_in_use_is_one_clear_sentence(port: int) -> None:
    expected = rf"^The status port 127\.0\.0\.1:{port} cannot be listened at [^\n]+\.$"
    with pytest.raises(ConfigurationError, match=expected), serving(port=port):
        pass


def test_the_port_is_free_again_afterwards() -> None:
    with serving() as port:
        pass
    with serving(port=port):
        assert get(port, "/livez")[0] == 200
