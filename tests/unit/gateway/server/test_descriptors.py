"""Descriptors of this process."""

from __future__ import annotations

import asyncio
import os
import resource
import socket

from gateway.server.descriptors import free_descriptors, has_unread_data, raise_descriptor_limit


def test_an_open_descriptor_is_no_longer_free() -> None:
    before = free_descriptors()
    read, write = os.pipe()
    assert free_descriptors() == before - 2
    os.close(read)
    os.close(write)


def test_the_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1_000), hard))
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_unread_data_shows_until_it_is_read() -> None:
    own, other = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=own)
    with other:
        assert not has_unread_data(transport)
        transport.pause_reading()
        other.send(b"x")
        assert has_unread_data(transport)
        own.recv(1)
        assert not has_unread_data(transport)
    transport.abort()
    await asyncio.sleep(0)
    assert not has_unread_data(transport), "a closed socket holds nothing"
