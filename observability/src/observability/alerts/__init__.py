"""The alerts, their rule files for Grafana and promtool, and the notifications."""

from observability.alerts import engines, hardware, models, service, stack
from observability.alerts.alert import Alert


def all_alerts() -> tuple[Alert, ...]:
    """All alerts: first what clients feel, then possible causes."""
    causes = (*models.alerts(), *engines.alerts(), *hardware.alerts(), *stack.maintenance())
    return (*stack.availability(), *service.alerts(), *causes)
