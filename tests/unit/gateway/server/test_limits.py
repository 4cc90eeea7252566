"""How many connections a number of descriptors allows."""

from __future__ import annotations

import pytest

from gateway.server.limits import Limits

CONFIGURED = Limits(connections=2_048, header_timeout=10, send_timeout=30, keep_alive=75)


@pytest.mark.parametrize("descriptors", [0, 8, 40, 64, 500, 1_000, 4_000, 4_368, 100_000])
def test_each_connection_and_its_engines_has_a_descriptor(descriptors: int) -> None:
    limits = CONFIGURED.fit(descriptors)
    assert 1 <= limits.connections <= CONFIGURED.connections
    assert 1 <= limits.spare <= CONFIGURED.spare
    if descriptors >= 40:
        assert limits.descriptors_needed <= descriptors or limits.connections == CONFIGURED.connections
    if descriptors >= CONFIGURED.descriptors_needed:
        assert limits == CONFIGURED
