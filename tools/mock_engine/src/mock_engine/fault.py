"""The faults that can be injected into the mock engine.

A fault is written as a word, or a word and a number: `hang`, `status:500`, `break:3`. The numbers after `break`,
`stall`, `error_event`, `context_event` and `end_without_done` count token events; 0 means "after the head of the
response, before any event".
"""

from __future__ import annotations

from dataclasses import dataclass

PLAIN_FAULTS = frozenset(
    {"html", "garbage", "reset", "hang", "headers_then_hang", "context_length", "slow_body", "truncated"}
)
COUNTED_FAULTS = frozenset({"break", "end_without_done", "stall", "error_event", "context_event"})
LOWEST_STATUS, HIGHEST_STATUS = 400, 599


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        kind: the word before the colon.
        number: the HTTP status for `status`, the count of token events for the counted faults, else 0.
    """

    kind: str
    number: int = 0


def parse_fault(text: object) -> Fault | None:
    """Parse a fault; None for `None` and for an empty string.

    Raises:
        ValueError: not a fault of this engine. A typo must not look like an engine that works.
    """
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise ValueError(f"a fault is a string, not {text!r}")  # noqa: TRY004 - wrong input, not a wrong program
    kind, _, number = text.partition(":")
    if kind in PLAIN_FAULTS and not number:
        return Fault(kind)
    if number.isascii() and number.isdigit():
        count = int(number)
        if kind in COUNTED_FAULTS:
            return Fault(kind, count)
        if kind == "status" and LOWEST_STATUS <= count <= HIGHEST_STATUS:
            return Fault(kind, count)
    raise ValueError(
        f"unknown fault {text!r}: one of {', '.join(sorted(PLAIN_FAULTS))}, "
        f"status:<{LOWEST_STATUS}-{HIGHEST_STATUS}>, {', '.join(f'{kind}:<n>' for kind in sorted(COUNTED_FAULTS))}"
    )
