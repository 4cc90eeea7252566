"""Requests that an engine works for, and those that wait for a slot of it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.support.truth.traffic import Request


def moves(
    requests: Iterable[Request], times: Sequence[int], slots: int, starts: Iterable[float]
) -> Iterator[tuple[float, float, float]]:
    """When the numbers of running and waiting requests change, and to what, as scrapes see it.

    Args:
        requests: those without usage are not in a slot for long.
        times: of the scrapes.
        slots: requests that run at once.
        starts: of the engine, with no requests.
    """
    changes: dict[int, int] = defaultdict(int)
    for request in requests:
        if request.tokens:
            changes[bisect_left(times, request.started)] += 1
            changes[bisect_left(times, request.ended)] -= 1
    for start in starts:
        changes[bisect_left(times, start)] += 0
    inside = 0
    for index in sorted(changes):
        inside += changes[index]
        if index < len(times):
            yield times[index], float(min(inside, slots)), float(max(0, inside - slots))
