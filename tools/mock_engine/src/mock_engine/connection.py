"""One client connection of the mock engine: HTTP in, one answer at a time out."""

from __future__ import annotations

import asyncio
import hmac
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from mock_engine import ask, pages, wire
from mock_engine.behaviour import GENERATING
from mock_engine.generation import Generation, reset

if TYPE_CHECKING:
    from mock_engine.behaviour import Behaviour
    from mock_engine.fault import Fault
    from mock_engine.truth import Truth


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client; knows at once when the client is gone.

    Args:
        behaviour: what to do when a request does not say otherwise.
        truth: where everything is counted.
        key: guards `/v1`, as vLLM's key does; nothing guards nothing.
        live: the open connections, for a shutdown that leaves none.
    """

    def __init__(self, behaviour: Behaviour, truth: Truth, key: str | None, live: set[Connection]) -> None:
        self._behaviour, self._truth, self._live = behaviour, truth, live
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
        """Read; bytes that are no HTTP end the connection with 400, as uvicorn does it."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._write(wire.answer(HTTPStatus.BAD_REQUEST, b"Invalid HTTP request received.", b"text/plain"))
            self.close()

    def pause_writing(self) -> None:
        """Wait for a slow reader."""
        if self._generation is not None:
            self._generation.pause()

    def resume_writing(self) -> None:
        """Go on."""
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
        """Forget the request before."""
        self._url, self._headers, self._body = b"", [], []

    def on_url(self, url: bytes) -> None:
        """Take the path, which may come in pieces."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header as it came."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer."""
        if self._generation is not None or self._hanging:
            self.close()  # no gateway that is tested here may send a request before the last one was answered
            return
        self._keep_alive = self._parser.should_keep_alive()
        method, path = self._parser.get_method().decode(), self._url.partition(b"?")[0].decode("latin-1")
        page = self._page(method, path)
        if page is not None:
            self._write(page)
            self._end(reusable=True)
        elif not self._hanging:
            self._generate(path)

    def _page(self, method: str, path: str) -> bytes | None:
        """Answer all that is no generation; nothing when it is one, or when the page is told to hang."""
        if path == "/mock" and method in {"GET", "POST"} and self._transport is not None:
            peer = self._transport.get_extra_info("peername")[0]
            return pages.steer(method, b"".join(self._body), peer, self._behaviour, self._truth)
        if self._bearer is not None and path.startswith("/v1/") and not self._allowed(self._bearer):
            return pages.unauthorized()
        fault = self._behaviour.path_faults.get(path)
        if fault is not None:
            return self._broken_page(fault)
        if method == "POST" and path in GENERATING:
            return None
        page = pages.get(path, self._behaviour, self._truth) if method == "GET" else None
        return pages.not_found() if page is None else page

    def _allowed(self, bearer: bytes) -> bool:
        return any(
            name.lower() == b"authorization" and hmac.compare_digest(value, bearer) for name, value in self._headers
        )

    def _broken_page(self, fault: Fault) -> bytes | None:
        """Fail on a page that generates nothing."""
        if fault.kind == "status":
            return wire.answer(fault.number, wire.error_body(fault.number, "mock engine failure", "MockError"))
        if fault.kind == "html":
            return wire.answer(200, wire.HTML, b"text/html; charset=utf-8")
        if fault.kind == "garbage":
            return wire.answer(200, wire.GARBAGE, wire.JSON)
        self._hanging = True
        if fault.kind == "reset" and self._transport is not None:
            reset(self._transport)
        return None

    def _generate(self, path: str) -> None:
        transport, truth, body = self._transport, self._truth, b"".join(self._body)
        if transport is None:
            return
        try:
            wanted = ask.read_ask(path, body, self._behaviour)
        except ask.RefusedError as refused:
            said = wire.error_body(refused.status, refused.message, refused.kind, refused.param)
            self._write(wire.answer(refused.status, said))
            self._end(reusable=True)
            return
        if wanted.probe:
            counters = truth.probes
        else:
            counters, truth.last_headers, truth.last_body = truth.work, self._headers, body
        number = truth.work.requests + truth.probes.requests
        self._generation = Generation(
            self._loop,
            transport,
            ask=wanted,
            counters=counters,
            number=number,
            max_model_len=self._behaviour.max_model_len,
            gates=truth.gates,
            ended=self._end,
        )
        self._generation.begin()

    def _end(self, *, reusable: bool) -> None:
        self._generation = None
        if not (reusable and self._keep_alive):
            self.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
