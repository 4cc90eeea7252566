"""`retry-after`, as engines send it."""

from __future__ import annotations

import pytest

from gateway.upstream import parse_retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"7", 7),
        (b" 7 ", 7),
        (b"0", 0),
        (b"999999999", 86_400),
        (b"Wed, 21 Oct 2015 07:28:00 GMT", 0),
        (b"Wed, 21 Oct 2015 07:28:00 -0000", 0),
        (b"Fri, 31 Dec 2999 23:59:59 GMT", 86_400),
        (b"-1", None),
        (b"1.5", None),
        (b"soon", None),
        (b"\xff", None),
        (b"", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: bytes | None, seconds: int | None) -> None:
    assert parse_retry_after(header) == seconds
