"""How many connections so many descriptors allow."""

from __future__ import annotations

import os
import resource

import pytest

from gateway.server.descriptors import free_descriptors, raise_descriptor_limit
from gateway.server.limits import Limits

WISHED = Limits(connections=2_048, header_timeout=10, send_timeout=30, keep_alive=75)


@pytest.mark.parametrize("descriptors", [0, 8, 40, 64, 500, 1_000, 4_000, 4_368, 100_000])
def test_each_connection_and_its_engines_has_a_descriptor(descriptors: int) -> None:
    limits = WISHED.fit(descriptors)
    assert 1 <= limits.connections <= WISHED.connections
    assert 1 <= limits.spare <= WISHED.spare
    if descriptors >= 40:
        assert limits.descriptors_needed <= descriptors or limits.connections == WISHED.connections
    if descriptors >= WISHED.descriptors_needed:
        assert limits == WISHED


def test_an_open_descriptor_is_no_longer_free() -> None:
    before = free_descriptors()
    read, write = os.pipe()
    assert free_descriptors() == before - 2
    os.close(read)
    os.close(write)


def test_the_limit_of_descriptors_is_raised_as_far_as_it_may() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1_000), hard))
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
