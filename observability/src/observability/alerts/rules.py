"""The alerts that exist."""

from observability.alerts import engines, hardware, parts, service
from observability.alerts.alert import Alert


def every() -> tuple[Alert, ...]:
    """All alerts: what clients feel first, then what may be the reason."""
    return (*parts.reachable(), *service.alerts(), *engines.alerts(), *hardware.alerts(), *parts.housekeeping())
