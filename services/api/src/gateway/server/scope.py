"""ASGI scopes: what the application knows of a request."""

import urllib.parse
from collections.abc import Callable
from typing import Any

import httptools

from gateway.errors import GatewayError, MalformedRequest
from gateway.exchange import ABORT_EXTENSION, REFUSED, Header, Scope


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

    def request(self, method: str, target: bytes, version: str, headers: list[Header]) -> Scope:
        """The scope of a request.

        Raises:
            MalformedRequest: The target is not a path.
        """
        try:
            url = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            raise MalformedRequest("The request target is not a path.") from None
        raw_path = url.path or b"/"  # http://host without a path
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "method": method,
            "root_path": "",
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": url.query or b"",
            "headers": headers,
            "state": self._state.copy(),
            "extensions": self._extensions,
        }

    def refused(self, error: GatewayError, headers: list[Header]) -> Scope:
        """The scope of what cannot be served as a request, with the headers that are known."""
        return {"type": REFUSED, "method": "GET", "path": "", "headers": headers, "error": error}
