"""Starts of parts of the stack, which dashboards mark with lines (`queries.events`): recorded while they are recent.

A start time is exported for as long as the part runs. Over seven days a line would be read from each of ten thousand
samples; the recorded series has five.
"""

from observability.promql import Scope
from observability.queries import events
from observability.recording.group import Group

_INTERVAL_SECONDS = 60
_SCOPE = Scope("2m")


def group() -> Group:
    """Resets of the gateway's counters, and start times of the last five minutes."""
    return Group(
        "glasshouse-events",
        _INTERVAL_SECONDS,
        {
            events.GATEWAY_STARTED: events.gateway_resets(_SCOPE),
            events.ENGINE_READY: events.engines_ready_since(_SCOPE),
            events.DEPLOYED: events.parts_started(_SCOPE),
        },
    )
