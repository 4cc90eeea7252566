"""Content codings of request bodies (RFC 9110, 8.4), decoded piece by piece: no bomb unfolds in memory."""

import asyncio
import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedCoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["ACCEPTED", "STEP_BYTES", "Body", "decoder", "too_large", "zstd"]

ACCEPTED = "gzip, deflate, zstd"
# Maximum size of what one step yields, in bytes.
STEP_BYTES = 65_536
# Steps after which other tasks get their turn.
_STEPS_PER_TURN = 4
# RFC 9659: a decoder of this coding may refuse a larger window, whose memory would be for the client to decide on.
_ZSTD_WINDOW_LOG = 23
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31


class Body:
    """A request's body while it arrives.

    Args:
        limit: Maximum size in bytes, both encoded and decoded.
        content_encoding: The header's value; empty without one.

    Raises:
        UnsupportedCoding: On construction: the coding is unknown, or there is more than one.
    """

    def __init__(self, limit: int, content_encoding: bytes = b"") -> None:
        self._limit = limit
        self._decoder = decoder(content_encoding) if content_encoding else None
        self._content = bytearray()  # one buffer, however small the pieces that arrive
        self._received = 0

    @property
    def size(self) -> int:
        """Bytes held so far, decoded."""
        return len(self._content)

    async def add(self, piece: bytes) -> None:
        """Adds the next piece.

        Raises:
            BodyTooLarge: The body exceeds the limit.
            InvalidRequest: It is not valid in its coding.
        """
        self._received += len(piece)
        if self._received > self._limit:
            raise too_large(self._limit)
        if self._decoder is None:
            self._content += piece
            return
        for step, part in enumerate(self._decoder.feed(piece), 1):
            self._content += part
            if len(self._content) > self._limit:
                raise too_large(self._limit)
            if step % _STEPS_PER_TURN == 0:
                await asyncio.sleep(0)  # a small piece may decode to as much as the limit

    def end(self) -> bytes:
        """The whole body, decoded.

        Raises:
            InvalidRequest: It is incomplete.
        """
        if self._decoder is not None:
            self._decoder.end()
        return bytes(self._content)


def too_large(limit: int) -> BodyTooLarge:
    """The error for a body of more than `limit` bytes."""
    return BodyTooLarge(f"The request body is larger than {limit} bytes, the maximum.")


class Decoder(Protocol):
    """Decodes a body."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decodes the next piece, in steps of at most `STEP_BYTES`.

        Raises:
            InvalidRequest: It is not valid in its coding.
        """
        ...

    def end(self) -> None:
        """Checks that the body is complete.

        Raises:
            InvalidRequest: It is not.
        """
        ...


def decoder(content_encoding: bytes) -> Decoder | None:
    """The decoder for a body with this `Content-Encoding`; None where there is nothing to decode.

    Raises:
        UnsupportedCoding: The coding is unknown, or there is more than one.
    """
    names = [name.strip().lower() for name in content_encoding.decode("latin-1").split(",")]
    codings = [name for name in names if name not in {"", "identity"}]
    if not codings:
        return None
    kind = _DECODERS.get(codings[0])
    if kind is None or len(codings) > 1:
        shown = ", ".join(codings)[:80]
        raise UnsupportedCoding(
            f"The content coding {shown!r} is not supported. Send the body unencoded, or with one of: {ACCEPTED}.",
            accepted=ACCEPTED,
        )
    return kind(codings[0])


class _Zlib:
    """gzip and deflate. A gzip body may have several members; deflate comes with zlib's frame or bare."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = b""
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is None:
                self._start += data
                if len(self._start) < 2 and self._name == "deflate":  # noqa: PLR2004 - zlib's frame shows in two bytes
                    return
                data, self._start = self._start, b""
                self._stream = zlib.decompressobj(self._window_bits(data))
            elif self._stream.eof:
                if self._name == "deflate":
                    raise _damaged(self._name)
                self._stream = zlib.decompressobj(self._window_bits(data))
            try:
                piece = self._stream.decompress(data, STEP_BYTES)
            except zlib.error:
                raise _damaged(self._name) from None
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if piece:
                yield piece
            while len(piece) == STEP_BYTES and not data and not self._stream.eof:  # the decoder may hold more
                piece = self._stream.decompress(b"", STEP_BYTES)
                if piece:
                    yield piece

    def end(self) -> None:
        if self._stream is None or not self._stream.eof:
            raise _damaged(self._name)

    def _window_bits(self, start: bytes) -> int:
        if self._name != "deflate":
            return 16 + zlib.MAX_WBITS
        framed = start[0] & 0x0F == _ZLIB_METHOD and int.from_bytes(start[:2]) % _ZLIB_CHECK == 0
        return zlib.MAX_WBITS if framed else -zlib.MAX_WBITS


class _Zstd:
    """zstd; a body may have several frames."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream: zstd.ZstdDecompressor | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is None or self._stream.eof:
                self._stream = zstd.ZstdDecompressor(
                    options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
                )
            try:
                piece = self._stream.decompress(data, STEP_BYTES)
                while piece:
                    yield piece
                    piece = (
                        b""
                        if self._stream.eof or self._stream.needs_input
                        else self._stream.decompress(b"", STEP_BYTES)
                    )
            except zstd.ZstdError:
                raise _damaged(self._name) from None
            data = self._stream.unused_data if self._stream.eof else b""

    def end(self) -> None:
        if self._stream is None or not self._stream.eof:
            raise _damaged(self._name)


_DECODERS: dict[str, type[_Zlib | _Zstd]] = {"gzip": _Zlib, "x-gzip": _Zlib, "deflate": _Zlib, "zstd": _Zstd}


def _damaged(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"The request body is not complete {name} data, which its Content-Encoding announces.", code="damaged_body"
    )
