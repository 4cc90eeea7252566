"""Clients of nginx: raw HTTP/1.1 over TLS, and HTTP/2 with curl."""

import contextlib
import json
import re
import ssl
import subprocess
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.support.http.connection import RawConnection
from tests.support.http.message import Response
from tests.support.nginx.containers import NginxContainer

SLOW_HEAD = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx-mark: slow\r\nx-a: "
HALF_BODY = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-mark: slow\r\ncontent-length: 1000\r\n\r\n{"
_OPENAI = {"message", "type", "param", "code"}


@dataclass(frozen=True)
class NginxClient:
    """Sends requests to an nginx, each over a connection of its own."""

    nginx: NginxContainer
    trusted: Path

    def open_tls(self, timeout: float = 15.0) -> RawConnection:
        """A connection to port 443. Use it with `with`."""
        trust = ssl.create_default_context(cafile=str(self.trusted))
        return RawConnection(self.nginx.port(443), timeout, tls=trust)

    def open_plain(self) -> RawConnection:
        """A connection to port 80. Use it with `with`."""
        return RawConnection(self.nginx.port(80), 20.0)

    def send(self, request: bytes) -> Response:
        with self.open_tls() as raw:
            return raw.send(request).read_response()

    def request(self, path: str, body: bytes = b"", *, method: str = "GET", do: Any = None, **headers: str) -> Response:
        return self.send(encode_request(path, body, method=method, do=do, **headers))

    def is_served(self, path: str = "/livez") -> bool:
        """Whether a request gets 200. False also while nginx does not accept connections, or resets them."""
        try:
            return self.request(path).status == HTTPStatus.OK
        except (OSError, EOFError):
            return False

    def request_http2(self, path: str, *options: str) -> Response:
        """Sends a request over HTTP/2."""
        command = (
            "curl", "-sS", "--noproxy", "*", "--max-time", "30", "--http2", "--path-as-is", "-i", "--cacert",
            str(self.trusted), *options, f"https://localhost:{self.nginx.port(443)}{path}",
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        assert line.startswith("HTTP/2 ")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        return Response(int(line.split()[1]), headers, body, [])


def encode_request(path: str, body: bytes = b"", *, method: str = "GET", do: Any = None, **headers: str) -> bytes:
    """A request as bytes; `do` tells the fake upstream what to do. An underscore in a name stands for a hyphen."""
    fields = {"host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    if body or method == "POST":
        fields.setdefault("content-length", str(len(body)))
    if do is not None:
        fields["x-do"] = json.dumps(do)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def parse_error(response: Response) -> tuple[int, str]:
    """Status and code of an error that nginx itself returns, which must have the API's shape."""
    assert response.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", response.headers["x-request-id"])
    error = json.loads(response.body)["error"]
    assert set(error) == _OPENAI
    assert error["message"].endswith(".")
    return response.status, error["code"]


def trickle(raw: RawConnection, start: bytes, more: bytes, every: float, seconds: float) -> float:
    """Sends `start`, then `more` again and again; returns the seconds until nginx closes the connection."""
    began = time.monotonic()
    raw.send(start)
    raw.socket.settimeout(every)
    while time.monotonic() - began < seconds:
        try:
            if not raw.read():
                break
        except TimeoutError:
            with contextlib.suppress(OSError):  # it is closed: the next read shows that
                raw.send(more)
        except OSError:
            break
    return time.monotonic() - began
