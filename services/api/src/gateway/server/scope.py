"""ASGI scopes: what the application knows of a request."""

import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple

import httptools

from gateway.asgi_exchange import ABORT_EXTENSION, REFUSED, Scope
from gateway.errors import GatewayError, MalformedRequest
from gateway.exchange import Header


class Target(NamedTuple):
    """A request's target: its path without and with percent-encoding, and its query."""

    path: str
    raw_path: bytes
    query: bytes


def parse_target(target: bytes) -> Target:
    """Parses a target.

    Raises:
        MalformedRequest: It is not a path.
    """
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise MalformedRequest("The request target is not a path.") from None
    raw_path = url.path or b"/"  # http://host without a path
    path = raw_path.decode("ascii")
    return Target(urllib.parse.unquote(path) if "%" in path else path, raw_path, url.query or b"")


class Scopes:
    """Makes the scopes of one connection.

    Args:
        server: The address that the client connected to.
        client: The client's address.
        abort: Closes the connection at once.
        state: The state that the application's lifespan provides.
    """

    def __init__(self, server: Any, client: Any, abort: Callable[[], None], state: dict[str, Any]) -> None:
        self._server, self._client, self._state = server, client, state
        self._extensions = {ABORT_EXTENSION: {"abort": abort}}

    def request(self, method: str, target: Target, version: str, headers: list[Header]) -> Scope:
        """The scope of a request."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "method": method,
            "root_path": "",
            "path": target.path,
            "raw_path": target.raw_path,
            "query_string": target.query,
            "headers": headers,
            "state": self._state.copy(),
            "extensions": self._extensions,
        }

    def refused(self, error: GatewayError, headers: list[Header]) -> Scope:
        """The scope of what cannot be served as a request, with the headers that are known."""
        return {"type": REFUSED, "method": "GET", "path": "", "headers": headers, "error": error}
