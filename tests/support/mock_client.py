"""A mock engine in a process of its own, with an HTTP client and raw connections to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx
from tests.support.http.connection import RawConnection
from tests.support.http.message import encode_request
from tests.support.mock import MockControl

from mock_engine.process import running

_CHAT = "/v1/chat/completions"
TIMEOUT_S = 5.0


class MockClient(MockControl):
    """A running mock engine, and what asks it."""

    def __init__(self, port: int, http: httpx.Client) -> None:
        super().__init__(port)
        self.http = http

    @classmethod
    @contextmanager
    def run(cls, *options: str) -> Iterator[Self]:
        """Starts a mock engine with these options of its command line; it must end without an error."""
        with running(*options) as (process, port):  # noqa: SIM117 - the process outlives the client
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_S, trust_env=False) as http:
                yield cls(port, http)
        assert process.returncode == 0

    def chat(self, **fields: Any) -> httpx.Response:
        return self.http.post(_CHAT, json=_chat(**fields))

    def connect(self, **fields: Any) -> RawConnection:
        """Sends a chat request over a connection of its own. Use it with `with`."""
        return RawConnection(self.port, TIMEOUT_S).send(encode_request(_CHAT, _chat(**fields)))


def _chat(**fields: Any) -> dict[str, Any]:
    return {"model": "mock", "messages": [{"role": "user", "content": "one two three"}], **fields}
