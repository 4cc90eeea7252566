"""Content codings of request bodies (RFC 9110 8.4): taken apart piece by piece, so that no bomb unfolds in memory."""

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

__all__ = ["ACCEPTED", "STEP", "Body", "decoder", "too_large", "zstd"]

ACCEPTED = "gzip, deflate, zstd"
# Most bytes that one step yields.
STEP = 65_536
# Steps between which others get their turn.
_STEPS_AT_ONCE = 4
# RFC 9659: a decoder of this coding need not take a larger window, and a larger one is memory that a client decides on.
_ZSTD_WINDOW_LOG = 23
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31


class Body:
    """A request's body while it comes.

    Args:
        limit: Most bytes that it may have, coded and decoded.
        content_encoding: The header's value; empty where there is none.

    Raises:
        UnsupportedCoding: On construction: the coding is unknown, or there is more than one.
    """

    def __init__(self, limit: int, content_encoding: bytes = b"") -> None:
        self._limit = limit
        self._decoder = decoder(content_encoding) if content_encoding else None
        self._held = bytearray()  # one piece of memory, however small the pieces are in which it comes
        self._came = 0

    @property
    def size(self) -> int:
        """Bytes that are held, decoded."""
        return len(self._held)

    async def add(self, piece: bytes) -> None:
        """Takes the next piece.

        Raises:
            BodyTooLarge: That is more than the limit.
            InvalidRequest: It is not what the coding says.
        """
        self._came += len(piece)
        if self._came > self._limit:
            raise too_large(self._limit)
        if self._decoder is None:
            self._held += piece
            return
        for step, part in enumerate(self._decoder.feed(piece), 1):
            self._held += part
            if len(self._held) > self._limit:
                raise too_large(self._limit)
            if step % _STEPS_AT_ONCE == 0:
                await asyncio.sleep(0)  # a small piece may unfold into the whole limit

    def end(self) -> bytes:
        """The whole body, decoded.

        Raises:
            InvalidRequest: It ends too early for its coding.
        """
        if self._decoder is not None:
            self._decoder.end()
        return bytes(self._held)


def too_large(limit: int) -> BodyTooLarge:
    """The error for a body of more than `limit` bytes."""
    return BodyTooLarge(f"The request's body is larger than {limit} bytes, the most that is taken here.")


class Decoder(Protocol):
    """Takes a coded body apart."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What comes of the next piece, in steps of at most `STEP` bytes.

        Raises:
            InvalidRequest: It is not what the coding says.
        """
        ...

    def end(self) -> None:
        """There are no more pieces.

        Raises:
            InvalidRequest: There should have been.
        """
        ...


def decoder(content_encoding: bytes) -> Decoder | None:
    """What takes a body with this `Content-Encoding` apart; None where nothing is to be done.

    Raises:
        UnsupportedCoding: The coding is unknown, or there is more than one.
    """
    names = [name.strip().lower() for name in content_encoding.decode("latin-1").split(",")]
    codings = [name for name in names if name not in {"", "identity"}]
    if not codings:
        return None
    made = _DECODERS.get(codings[0])
    if made is None or len(codings) > 1:
        shown = ", ".join(codings)[:80]
        raise UnsupportedCoding(
            f"The content coding {shown!r} is not taken here. Send the body as it is, or with one of: {ACCEPTED}.",
            accepted=ACCEPTED,
        )
    return made(codings[0])


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
                piece = self._stream.decompress(data, STEP)
            except zlib.error:
                raise _damaged(self._name) from None
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if piece:
                yield piece
            while len(piece) == STEP and not data and not self._stream.eof:  # more may be left inside
                piece = self._stream.decompress(b"", STEP)
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
                piece = self._stream.decompress(data, STEP)
                while piece:
                    yield piece
                    piece = b"" if self._stream.eof or self._stream.needs_input else self._stream.decompress(b"", STEP)
            except zstd.ZstdError:
                raise _damaged(self._name) from None
            data = self._stream.unused_data if self._stream.eof else b""

    def end(self) -> None:
        if self._stream is None or not self._stream.eof:
            raise _damaged(self._name)


_DECODERS: dict[str, type[_Zlib | _Zstd]] = {"gzip": _Zlib, "x-gzip": _Zlib, "deflate": _Zlib, "zstd": _Zstd}


def _damaged(name: str) -> InvalidRequest:
    return InvalidRequest(f"The request's body is no whole {name}, as its Content-Encoding says.", code="damaged_body")
