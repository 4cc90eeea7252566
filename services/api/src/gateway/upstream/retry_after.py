"""The `retry-after` header (RFC 9110, 10.2.3) of an engine's answer."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_RETRY_AFTER_S = 86_400


def parse_retry_after(value: bytes | None) -> int | None:
    """Seconds from a header that holds seconds or a date, at most a day; None where there is nothing to read."""
    text = (value or b"").decode("latin-1").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(int(text), _MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max(0, round((date - datetime.now(UTC)).total_seconds())), _MAX_RETRY_AFTER_S)
