"""Alerts of the privacy canary: a prompt where none may be, and a canary that cannot tell."""

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.promql import Scope
from observability.queries import privacy

_FIVE_MINUTES = Scope("5m")


def alerts() -> tuple[Alert, ...]:
    """All of them; silent where the canary is not enabled."""
    return (
        Alert(
            name="PrivacyCanaryFound",
            expr=privacy.found(_FIVE_MINUTES),
            limit=0,
            for_="0s",
            severity="page",
            summary=f"The privacy canary's prompt was found {VALUE} time(s) in {{{{ $labels.place }}}} of VM "
            "{{ $labels.vm }}",
            resolved="The privacy canary's latest prompt was not found in {{ $labels.place }} of VM {{ $labels.vm }}, "
            "or that place could not be read",
            value_format="humanize",
            description="Prompts of users are written there, too, and whoever can read that place can read them. Stop "
            "what writes it, then remove what it has written. The alert resolves with the next run that finds nothing.",
            dashboard="Gateway",
            panel="Privacy canary",
        ),
        Alert(
            name="PrivacyCanaryStale",
            expr=privacy.intervals_since_complete_run(_FIVE_MINUTES),
            limit=settings.PRIVACY_CANARY_INTERVALS,
            for_="5m",
            severity="ticket",
            summary=f"The privacy canary of VM {{{{ $labels.vm }}}} has had no complete run for {VALUE} intervals",
            resolved="The privacy canary of VM {{ $labels.vm }} could read every place again, or was switched off",
            value_format="humanize",
            description="Its prompts are not answered, a place cannot be read, or it does not run: whether prompts "
            "leak is unknown. Check its log, and Privacy canary for the place. Where it was switched off on purpose "
            "the alert resolves after a day.",
            dashboard="Gateway",
            panel="Privacy canary",
        ),
    )
