"""One client connection of the mock engine: parses requests and writes one response at a time."""

from __future__ import annotations

import asyncio
import hmac
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from mock_engine import endpoints, responses
from mock_engine.behaviour import GENERATING
from mock_engine.generation import Generation, reset
from mock_engine.request import RejectedError, parse_request

if TYPE_CHECKING:
    from mock_engine.behaviour import Behaviour
    from mock_engine.fault import Fault
    from mock_engine.stats import Stats


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client, and cancels its request at once when the client disconnects.

    Args:
        behaviour: what to do when a request does not say otherwise.
        stats: where everything is counted.
        key: required for `/v1`, as with vLLM; None requires none.
        live: the open connections, so that a shutdown closes all of them.
    """

    def __init__(self, behaviour: Behaviour, stats: Stats, key: str | None, live: set[Connection]) -> None:
        self._behaviour, self._stats, self._live = behaviour, stats, live
        self._bearer = None if key is None else f"Bearer {key}".encode()
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._generation: Generation | None = None
        self._hanging = False
        self._keep_alive = True
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a client, and send small events at once."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not derive from asyncio's
        self._live.add(self)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free what was being generated for this client."""
        del exc
        self._live.discard(self)
        if self._generation is not None:
            self._generation.cancel()
            self._generation = None

    def data_received(self, data: bytes) -> None:
        """Parse; bytes that are not HTTP end the connection with 400, as in uvicorn."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._write(responses.plain(HTTPStatus.BAD_REQUEST, b"Invalid HTTP request received.", b"text/plain"))
            self.close()

    def pause_writing(self) -> None:
        """Wait for a slow reader."""
        if self._generation is not None:
            self._generation.pause()

    def resume_writing(self) -> None:
        """Continue."""
        if self._generation is not None:
            self._generation.resume()

    def close(self) -> None:
        """Close after what has been written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, as a killed engine would."""
        if self._transport is not None:
            self._transport.abort()

    # The parser's side

    def on_message_begin(self) -> None:
        """Discard the previous request."""
        self._url, self._headers, self._body = b"", [], []

    def on_url(self, url: bytes) -> None:
        """Collect the path, which may arrive in pieces."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header as received."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Respond."""
        if self._generation is not None or self._hanging:
            self.close()  # no gateway under test may send a request before the previous one has its response
            return
        self._keep_alive = self._parser.should_keep_alive()
        method, path = self._parser.get_method().decode(), self._url.partition(b"?")[0].decode("latin-1")
        response = self._endpoint(method, path)
        if response is not None:
            self._write(response)
            self._end(reusable=True)
        elif not self._hanging:
            self._generate(path)

    def _endpoint(self, method: str, path: str) -> bytes | None:
        """Respond to all but generation requests; None for those, and when the endpoint has to hang."""
        if path == "/mock" and method in {"GET", "POST"} and self._transport is not None:
            peer = self._transport.get_extra_info("peername")[0]
            return endpoints.control(method, b"".join(self._body), peer, self._behaviour, self._stats)
        if self._bearer is not None and path.startswith("/v1/") and not self._allowed(self._bearer):
            return endpoints.unauthorized()
        fault = self._behaviour.path_faults.get(path)
        if fault is not None:
            return self._faulty_endpoint(fault)
        if method == "POST" and path in GENERATING:
            return None
        response = endpoints.get(path, self._behaviour, self._stats) if method == "GET" else None
        return endpoints.not_found() if response is None else response

    def _allowed(self, bearer: bytes) -> bool:
        return any(
            name.lower() == b"authorization" and hmac.compare_digest(value, bearer) for name, value in self._headers
        )

    def _faulty_endpoint(self, fault: Fault) -> bytes | None:
        """Fail on an endpoint that generates nothing."""
        if fault.kind == "status":
            return responses.plain(fault.number, responses.error_body(fault.number, "mock engine failure", "MockError"))
        if fault.kind == "html":
            return responses.plain(200, responses.HTML, b"text/html; charset=utf-8")
        if fault.kind == "garbage":
            return responses.plain(200, responses.GARBAGE, responses.JSON)
        self._hanging = True
        if fault.kind == "reset" and self._transport is not None:
            reset(self._transport)
        return None

    def _generate(self, path: str) -> None:
        transport, stats, body = self._transport, self._stats, b"".join(self._body)
        if transport is None:
            return
        try:
            request = parse_request(path, body, self._behaviour)
        except RejectedError as rejected:
            error = responses.error_body(rejected.status, rejected.message, rejected.kind, rejected.param)
            self._write(responses.plain(rejected.status, error))
            self._end(reusable=True)
            return
        if request.probe:
            counters = stats.probes
        else:
            counters, stats.last_headers, stats.last_body = stats.work, self._headers, body
        number = stats.work.requests + stats.probes.requests
        self._generation = Generation(
            self._loop,
            transport,
            request=request,
            counters=counters,
            number=number,
            max_model_len=self._behaviour.max_model_len,
            barriers=stats.barriers,
            on_finished=self._end,
        )
        self._generation.begin()

    def _end(self, *, reusable: bool) -> None:
        self._generation = None
        if not (reusable and self._keep_alive):
            self.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
