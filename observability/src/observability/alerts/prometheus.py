"""The same alerts as Prometheus' rules: only promtool reads them, to show that each fires and stays silent."""

from collections.abc import Sequence

from observability import settings
from observability.alerts.alert import VALUE, Alert
from observability.alerts.grafana import GROUP

Json = dict[str, object]


def rules(alerts: Sequence[Alert]) -> Json:
    """The file of rules."""
    interval = f"{settings.ALERT_INTERVAL_SECONDS}s"
    return {"groups": [{"name": GROUP, "interval": interval, "rules": [_rule(alert) for alert in alerts]}]}


def _rule(alert: Alert) -> Json:
    return {
        "alert": alert.name,
        "expr": f"({alert.expr}) {'<' if alert.below else '>'} {alert.limit}",
        "for": alert.lasting,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary.replace(VALUE, f"{{{{ {alert.value_format} $value }}}}"),
            "description": alert.meaning,
            "runbook": alert.runbook,
        },
    }
