"""The alerts, their rule files for Grafana and Prometheus, and the notifications."""

from observability.alerts import engines, hardware, models, privacy, reconciliation, service, stack
from observability.alerts.alert import Alert


def all_alerts() -> tuple[Alert, ...]:
    """All alerts: first what clients feel, then possible causes."""
    causes = (*models.alerts(), *engines.alerts(), *hardware.alerts(), *stack.maintenance())
    own_numbers = (*reconciliation.alerts(), *privacy.alerts())
    return (*stack.availability(), *service.alerts(), *causes, *own_numbers)
