"""The tests' raw HTTP clients: both read the same responses, and refuse what is framed incorrectly."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.http.async_connection import AsyncConnection
from tests.support.http.connection import RawConnection
from tests.support.http.message import (
    content_length,
    dechunk,
    encode_request,
    is_complete,
    parse_head,
)

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that responds to a request for `/plain` or `/stream`, a few bytes at a time."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(4096):
            response = PLAIN if head.startswith(b"GET /plain ") else STREAM
            for start in range(0, len(response), 7):
                writer.write(response[start : start + 7])
                await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_both_clients_read_one_response_after_another(port: int) -> None:
    requests = [encode_request("/plain", method="GET"), encode_request("/stream", method="GET")]
    connection = await AsyncConnection.open(port)
    bodies = []
    for request in requests:
        connection.send(request)
        bodies.append((await connection.read_response()).body)
    connection.close()

    def read_all() -> list[bytes]:
        found = []
        with RawConnection(port) as raw:
            for request in requests:
                raw.reads.clear()
                found.append(raw.send(request).read_response().body)
        return found

    assert bodies == await asyncio.to_thread(read_all) == [b"hello", b"data: 1\n\ndata: 2\n\n"]


async def test_the_end_of_a_response_is_found_without_reading_past_it(port: int) -> None:
    connection = await AsyncConnection.open(port)
    connection.send(encode_request("/stream", method="GET"))
    await connection.read_to_end()
    assert (connection.complete, connection.status, connection.received) == (True, 200, STREAM)
    connection.close()


def test_a_request_has_a_length_and_a_key() -> None:
    request = encode_request("/v1/x", {"a": 1}, key="sk-1")
    head, _, body = request.partition(b"\r\n\r\n")
    assert (content_length(head), body) == (8, b'{"a": 1}')
    assert b"authorization: Bearer sk-1" in head
    assert head.startswith(b"POST /v1/x HTTP/1.1\r\n")


def test_header_names_are_lower_case_and_a_length_is_only_a_header() -> None:
    status, headers = parse_head(PLAIN.partition(b"\r\n\r\n")[0])
    assert (status, headers["content-length"]) == (200, "5")
    assert content_length(b"HTTP/1.1 200 OK\r\nx-content-length: 5") is None


@pytest.mark.parametrize("response", [PLAIN, STREAM], ids=["plain", "stream"])
def test_a_response_is_complete_with_its_last_byte(response: bytes) -> None:
    assert [is_complete(response[:size]) for size in range(len(response))] == [False] * len(response)
    assert is_complete(response)


@pytest.mark.parametrize("body", [b"", b"5\r\nhello!\r\n0\r\n\r\n", b"0\r\n\r\nmore", b"5\r\nhel"], ids=repr)
def test_an_incorrectly_chunked_body_is_refused(body: bytes) -> None:
    with pytest.raises(AssertionError):
        dechunk(body)
