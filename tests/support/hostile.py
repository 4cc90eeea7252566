"""A corpus of raw requests that no well-behaved client sends: each is refused in OpenAI's shape, or closed."""

CHAT = "/v1/chat/completions"


def head(*lines: str | bytes, start: str | bytes = f"POST {CHAT} HTTP/1.1", host: bool = True) -> bytes:
    """A request's head, with `host` as its first header."""
    given = [start, *(["host: gateway"] if host else []), *lines, "", ""]
    return b"\r\n".join(line if isinstance(line, bytes) else line.encode() for line in given)


def chunked(body: bytes) -> bytes:
    return head("transfer-encoding: chunked") + body


# What could be read in two ways: which length, which host, where a line ends.
_TWO_WAYS = {
    "length, then chunked": head("content-length: 5", "transfer-encoding: chunked") + b"0\r\n\r\n",
    "chunked, then length": head("transfer-encoding: chunked", "content-length: 5") + b"0\r\n\r\n",
    "length 0 and chunked": head("content-length: 0", "transfer-encoding: chunked") + b"0\r\n\r\n",
    "two lengths": head("content-length: 5", "content-length: 60") + b"hello",
    "the same length twice": head("content-length: 5", "content-length: 5") + b"hello",
    "a list of lengths": head("content-length: 5, 60") + b"hello",
    "a list of equal lengths": head("content-length: 5, 5") + b"hello",
    "length +5": head("content-length: +5") + b"hello",
    "length -1": head("content-length: -1"),
    "length 5 5": head("content-length: 5 5") + b"hello",
    "length 0x5": head("content-length: 0x5") + b"hello",
    "length 5.0": head("content-length: 5.0") + b"hello",
    "length 5e0": head("content-length: 5e0") + b"hello",
    "length abc": head("content-length: abc"),
    "an empty length": head("content-length:"),
    "a length of 23 digits": head("content-length: 99999999999999999999999"),
    "a length just beyond 64 bits": head("content-length: 18446744073709551617"),
    "identity": head("transfer-encoding: identity", "content-length: 5") + b"hello",
    "identity alone": head("transfer-encoding: identity") + b"hello",
    "chunked, identity": head("transfer-encoding: chunked, identity") + b"0\r\n\r\n",
    "chunked and identity": head("transfer-encoding: chunked", "transfer-encoding: identity") + b"0\r\n\r\n",
    "identity, chunked": head("transfer-encoding: identity, chunked") + b"0\r\n\r\n",
    "gzip, chunked": head("transfer-encoding: gzip, chunked") + b"0\r\n\r\n",
    "chunked, gzip": head("transfer-encoding: chunked, gzip") + b"0\r\n\r\n",
    "chunked twice": head("transfer-encoding: chunked", "transfer-encoding: chunked") + b"0\r\n\r\n",
    "chunked, chunked": head("transfer-encoding: chunked, chunked") + b"0\r\n\r\n",
    "xchunked": head("transfer-encoding: xchunked", "content-length: 5") + b"hello",
    "chunkedx": head("transfer-encoding: chunkedx") + b"0\r\n\r\n",
    "chunked;q=1": head("transfer-encoding: chunked;q=1") + b"0\r\n\r\n",
    "quoted chunked": head('transfer-encoding: "chunked"') + b"0\r\n\r\n",
    "an empty transfer coding": head("transfer-encoding:") + b"0\r\n\r\n",
    "chunked behind a vertical tab": head("transfer-encoding: \x0bchunked") + b"0\r\n\r\n",
    "chunked in HTTP/1.0": head("transfer-encoding: chunked", start=f"POST {CHAT} HTTP/1.0") + b"0\r\n\r\n",
    "a space before the colon": head("transfer-encoding : chunked", "content-length: 5") + b"hello",
    "a tab before the colon": head("content-length\t: 5") + b"hello",
    "a folded length": head("content-length:", " 5") + b"hello",
    "a folded transfer coding": head("transfer-encoding:", "\tchunked") + b"0\r\n\r\n",
    "a folded header": head("x: a", " b"),
    "a folded first header": head(" x: a"),
    "an upgrade and two lengths": head(
        "connection: upgrade", "upgrade: h2c", "content-length: 5", "transfer-encoding: chunked"
    ) + b"0\r\n\r\n",
    "a bare line feed in a header": head("x: a\ntransfer-encoding: chunked") + b"0\r\n\r\n",
    "a bare carriage return in a header": head("x: a\rtransfer-encoding: chunked") + b"0\r\n\r\n",
    "line feeds only": b"GET /livez HTTP/1.1\nhost: gateway\n\n",
    "carriage returns only": b"GET /livez HTTP/1.1\rhost: gateway\r\r",
    "a line feed at the end of the head": b"GET /livez HTTP/1.1\r\nhost: gateway\r\n\n",
    "no host": head(start="GET /livez HTTP/1.1", host=False),
    "two hosts": head("host: elsewhere", start="GET /livez HTTP/1.1"),
    "the same host twice": head("host: gateway", start="GET /livez HTTP/1.1"),
    "two hosts in HTTP/1.0": head("host: elsewhere", start="GET /livez HTTP/1.0"),
}  # fmt: skip

_BROKEN_CHUNKS = {
    "a chunk size of 0x5": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of -5": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of +5": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size that is a word": chunked(b"five\r\nhello\r\n0\r\n\r\n"),
    "an empty chunk size": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "a space behind a chunk size": chunked(b"5 \r\nhello\r\n0\r\n\r\n"),
    "a space before a chunk size": chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": chunked(b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "a chunk that is longer than it says": chunked(b"5\r\nhello!\r\n0\r\n\r\n"),
    "a chunk that ends in a line feed": chunked(b"5\r\nhello\n0\r\n\r\n"),
    "a chunk size that ends in a line feed": chunked(b"5\nhello\r\n0\r\n\r\n"),
    "a chunk extension with a line feed": chunked(b"5;a\nhello\r\n0\r\n\r\n"),
    "a null in a chunk extension": chunked(b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
    "a length as a trailer": chunked(b"0\r\ncontent-length: 5\r\n\r\n"),
    "a transfer coding as a trailer": chunked(b"0\r\ntransfer-encoding: chunked\r\n\r\n"),
    "a trailer without a colon": chunked(b"0\r\nnothing\r\n\r\n"),
}

_NO_HEADERS = {
    "a header without a colon": head("nothing"),
    "a header without a name": head(": nothing"),
    "a space in a name": head("two words: x"),
    "a null in a name": head("x\x00y: z"),
    "a null in a value": head("x: y\x00z"),
    "a control character in a value": head("x: y\x01z"),
    "a delete character in a value": head("x: y\x7fz"),
    "an escape in a value": head("x: \x1b[31m"),
    "a name of 8 bits": head("x\xff: y"),
    "a bracket in a name": head("x(y): z"),
}

_NO_START = {
    "an unknown method": head(start="BREW /livez HTTP/1.1"),
    "a method in small letters": head(start="get /livez HTTP/1.1"),
    "a method of 8 bits": head(start="G\xc9T /livez HTTP/1.1"),
    "no method": head(start=" /livez HTTP/1.1"),
    "no target": head(start="GET HTTP/1.1"),
    "a target of two words": head(start="GET /livez /readyz HTTP/1.1"),
    "a null in the target": head(start="GET /\x00 HTTP/1.1"),
    "a tab in the target": head(start="GET /livez\tx HTTP/1.1"),
    "8 bits in the target": head(start="GET /\xff HTTP/1.1"),
    "a target without a path": head(start="GET gateway:80 HTTP/1.1"),
    "no version": b"GET /livez\r\n\r\n",
    "HTTP/0.9": head(start="GET /livez HTTP/0.9"),
    "HTTP/1.2": head(start="GET /livez HTTP/1.2"),
    "HTTP/2.0": head(start="GET /livez HTTP/2.0"),
    "HTTP/11": head(start="GET /livez HTTP/11"),
    "HTTP/1": head(start="GET /livez HTTP/1"),
    "http in small letters": head(start="GET /livez http/1.1"),
    "HTTPS/1.1": head(start="GET /livez HTTPS/1.1"),
    "a space behind the version": head(start="GET /livez HTTP/1.1 "),
    "CONNECT": head(start="CONNECT elsewhere:443 HTTP/1.1"),
    "CONNECT with a path": head(start="CONNECT /livez HTTP/1.1"),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS handshake": bytes.fromhex("16030100c8010000c40303") + bytes(32),
    "a SOCKS handshake": b"\x05\x01\x00" + bytes(32),
    "an SSH greeting": b"SSH-2.0-OpenSSH_9.6\r\n",
    "an SMTP greeting": b"EHLO gateway\r\n",
    "an answer": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "JSON": b'{"model": "mock"}\r\n\r\n',
    "a proxy's preface": b"PROXY TCP4 8.8.8.8 127.0.0.1 1 2\r\n" + head(start="GET /livez HTTP/1.1"),
    "nulls": bytes(1_000),
}

_TOO_MUCH = {
    "a header of 20 kB": head("x: " + "y" * 20_000),
    "a header of 1 MB": head("x: " + "y" * 1_000_000),
    "a name of 1 MB": head("x" * 1_000_000 + ": y"),
    "a target of 20 kB": head(start="GET /" + "y" * 20_000 + " HTTP/1.1"),
    "a target of 1 MB": head(start="GET /" + "y" * 1_000_000 + " HTTP/1.1"),
    "a head of 1 MB": head(*(f"x-{number}: {'y' * 1_000}" for number in range(1_000))),
    "101 headers": head(*(f"x-{number}: y" for number in range(100))),
    "10,000 headers": head(*(f"x-{number}: y" for number in range(10_000))),
}

_TOO_MUCH_FRAMING = {
    "a chunk extension of 1 MB": chunked(b"5;" + b"x" * 1_000_000 + b"\r\nhello\r\n0\r\n\r\n"),
    "trailers of 1 MB": chunked(b"0\r\n" + b"x: y\r\n" * 200_000 + b"\r\n"),
}

# Nothing is wrong with their heads: what comes first, the rest or the question for a key, decides how they are refused.
BROKEN_BODIES: dict[str, bytes] = {**_BROKEN_CHUNKS, **_TOO_MUCH_FRAMING}
# Refused before a key is looked at.
BROKEN_HEADS: dict[str, bytes] = {**_TWO_WAYS, **_NO_HEADERS, **_NO_START, **_TOO_MUCH}
CORPUS: dict[str, bytes] = {**BROKEN_HEADS, **BROKEN_BODIES}
