"""The alerts that exist."""

from observability.alerts import engines, hardware, service, stack
from observability.alerts.alert import Alert


def every() -> tuple[Alert, ...]:
    """All alerts: what clients feel first, then what may be the reason."""
    return (*stack.reachable(), *service.alerts(), *engines.alerts(), *hardware.alerts(), *stack.housekeeping())
