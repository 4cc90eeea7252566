"""Parses requests with httptools (llhttp), and closes what llhttp leaves open or decides otherwise.

- An offer to upgrade is ignored (RFC 9110, 7.8): llhttp would take the body for another protocol. The head is parsed
  again without its `Upgrade`, and its length decides what follows it.
- What two parsers could read in two ways is refused, even where llhttp would choose one.
- A head, and the framing of a chunked body, is limited while it arrives.
- Trailers are read and discarded: nothing after a body may change what its head said.
"""

from collections.abc import Callable

import httptools

from gateway.errors import GatewayError, HeadersTooLarge, MalformedRequest, MethodNotAllowed
from gateway.exchange import Header

MAX_HEAD = 65_536
MAX_HEADER = 16_384
MAX_HEADERS = 100
# A small chunk has as much framing as data; extensions and trailers that outweigh the body are not legitimate.
_FRAMING_PER_BYTE = 8

_TLS_HANDSHAKE = b"\x16\x03"
_PLAIN_ONLY = "This port speaks plain HTTP/1.1; TLS is terminated by the proxy in front of it."
_HTTP2 = b"PRI * HTTP/2"


class RequestReader:
    """Parses the requests of one connection.

    Args:
        begin: Called when a head is complete, with method, target, version and headers.
        body: Called with each piece of a body.
        end: Called when a request is complete.

    Attributes:
        in_head: Whether a head has begun and is not complete.
        expects_continue: Whether the client waits for `100 Continue` before it sends the body.
        keep_alive: Whether another request may follow this one.
        headers: Those of the request that is being read, so far.
    """

    def __init__(
        self,
        begin: Callable[[str, bytes, str, list[Header]], None],
        body: Callable[[bytes], None],
        end: Callable[[], None],
    ) -> None:
        self._begin, self._body, self._end = begin, body, end
        self.in_head = False
        self.headers: list[Header] = []
        self._target = b""
        self.expects_continue = self.keep_alive = False
        self._upgrade = self._chunked = False
        self._head_size = self._framing_size = 0
        # Bytes of bodies: of all requests, and of all but the last.
        self._seen = self._seen_before = 0
        self._new_parser()

    def feed(self, data: bytes | memoryview) -> None:
        """Parses the next bytes.

        Raises:
            GatewayError: They are not a request that is accepted; nothing after them can be parsed.
        """
        before = self._seen
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + bytes(data[upgrade.args[0] :])
                self._new_parser()
            except httptools.HttpParserError as error:
                raise self._refusal(error, data) from None
            else:
                break
        if self.in_head:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                raise HeadersTooLarge(f"The request head is larger than {MAX_HEAD} bytes.")
        elif self._chunked:
            self._framing_size += len(data) - (self._seen - before)
            if self._framing_size > MAX_HEAD + _FRAMING_PER_BYTE * (self._seen - self._seen_before):
                raise MalformedRequest("The framing of the chunked body is larger than the body.")

    def close(self) -> None:
        """Releases the parser, which refers back to this object, and the callbacks."""
        del self._parser, self._begin, self._body, self._end

    def on_message_begin(self) -> None:
        """See httptools."""
        self.in_head = True
        self.headers = []
        self._target = b""
        self.expects_continue = self._chunked = False
        if not self._upgrade:  # otherwise it is the same head again
            self._head_size = 0
        self._upgrade = False
        self._framing_size = 0
        self._seen_before = self._seen

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        if self.in_head:  # otherwise a trailer
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """See httptools."""
        self.in_head = False
        parser, headers = self._parser, self.headers
        method, version = parser.get_method().decode("ascii"), parser.get_http_version()
        if parser.should_upgrade() and method != "CONNECT":
            self._upgrade = True
            return
        if len(headers) > MAX_HEADERS:
            raise HeadersTooLarge(f"The request has more than {MAX_HEADERS} headers.")
        if self._head_size:  # a head in a single piece is shorter than a line may be
            lines = (len(name) + len(value) for name, value in headers)
            if max(len(self._target), 0, *lines) > MAX_HEADER:
                raise HeadersTooLarge(f"A line of the request head is longer than {MAX_HEADER} bytes.")
        self._check(method, version)
        self.keep_alive = version != "1.0" and parser.should_keep_alive()
        self._begin(method, self._target, version, headers)

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self._seen += len(body)
        self._body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._upgrade:  # only its head has been parsed, and will be again
            return
        self.headers = []
        self._chunked = False
        self._end()

    def _new_parser(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        # Data after a request with `connection: close` does not invalidate that request.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _head_without_upgrade(self) -> bytes:
        start = b"%b %b HTTP/%b\r\n" % (
            self._parser.get_method(),
            self._target,
            self._parser.get_http_version().encode("ascii"),
        )
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join((start, *lines, b"\r\n"))

    def _check(self, method: str, version: str) -> None:
        """Refuses what llhttp accepts and the gateway does not.

        Raises:
            MalformedRequest, MethodNotAllowed: The request is refused.
        """
        if version not in {"1.1", "1.0"}:
            raise MalformedRequest(f"HTTP/{version} is not supported. Use HTTP/1.1.")
        if method == "CONNECT":
            raise MethodNotAllowed("This is not a proxy: CONNECT is not supported.", allow="GET, HEAD, POST")
        names = [name for name, _ in self.headers]
        if b"expect" in names:
            self.expects_continue = (b"expect", b"100-continue") in [
                (name, value.lower()) for name, value in self.headers
            ]
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise MalformedRequest(f"A request must have exactly one Host header; this one has {hosts}.")
        if b"transfer-encoding" in names:
            values = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
            if version != "1.1" or values != [b"chunked"]:
                raise MalformedRequest("The only supported Transfer-Encoding is chunked, in HTTP/1.1.")
            self._chunked = True

    def _refusal(self, error: httptools.HttpParserError, data: bytes | memoryview) -> Exception:
        """Why the data could not be parsed; an error of our own in a callback stays what it is."""
        cause = error.__context__
        if isinstance(cause, GatewayError) or (cause and isinstance(error, httptools.HttpParserCallbackError)):
            return cause if isinstance(cause, Exception) else error
        if bytes(data[:2]) == _TLS_HANDSHAKE:
            return MalformedRequest(_PLAIN_ONLY)
        if self._target == b"*" and bytes(data[: len(_HTTP2)]) == _HTTP2:
            return MalformedRequest("HTTP/2 is not supported. Use HTTP/1.1.")
        return MalformedRequest(f"This is not an HTTP/1.1 request: {str(error).rstrip('.')}.")
