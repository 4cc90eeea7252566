"""Panels of the privacy canary, for a row of the Gateway dashboard."""

from observability.panel import Key, Panel, Query, Thresholds, stat, table
from observability.queries import privacy
from observability.variables import Variables

_DISABLED = "Not enabled (PRIVACY_CANARY)"


def panels(variables: Variables) -> tuple[Panel, ...]:
    """What it found, and when it last looked everywhere."""
    now = variables.now
    return (
        table(
            "Privacy canary",
            "Is the text of prompts anywhere that it may not be? Findings of the canary's prompt in its latest run.",
            "the canary's own prompts only, as text: not token ids, not encoded. Readable 0: that place is unknown.",
            "short",
            16,
            (Query(privacy.found(now), "Found"), Query(privacy.readable(now), "Readable")),
            no_value=_DISABLED,
            needs="needs-canary",
            keys=(Key("place", "Place"),),
            action="runbook, PrivacyCanaryFound.",
        ),
        stat(
            "Time since complete canary run",
            "When was the last run whose prompts were answered and that could read every place?",
            "runs that found something count: they are complete, too.",
            "s",
            privacy.seconds_since_complete_run(now),
            Thresholds(),
            no_value=_DISABLED,
            needs="needs-canary",
            width=8,
        ),
    )
