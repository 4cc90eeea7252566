"""Alerts as rule files: Grafana's, which it evaluates, and Prometheus', which evaluates them for dashboards.

Grafana refuses to start with a rule that lacks a uid, title, condition, folder or data, with two rules of the same
title, or with an interval that is no multiple of 10 s. In its provisioning files `$x` is an environment variable,
except in a rule's annotations and queries.
"""

from collections.abc import Sequence

from observability import dashboards, settings
from observability.alerts.alert import VALUE, Alert
from observability.dashboard import Dashboard
from observability.provisioning import DATASOURCE_UID

Json = dict[str, object]

# grafana-init puts RUNBOOK_URL in its place: Grafana shows a link only where it is an address.
RUNBOOK = "docs/runbook.md"
FOLDER = "Glasshouse alerts"  # not the dashboards' folder, which another provisioner owns
GROUP = "glasshouse"
# Names of earlier versions. Grafana keeps a rule that is no longer in its files until it is listed under deleteRules:
# the old name of an alert that is removed or renamed goes here.
RETIRED = (
    "RequestsFail",
    "FirstTokenSlow",
    "FrontDoorShut",
    "ErrorsBurnFast",
    "ErrorsBurnSlowly",
    "LatencyBurnsFast",
    "LatencyBurnsSlowly",
    "ClientsLeave",
    "OutputCollapsed",
    "EngineQueueLong",
    "KvCacheThrashes",
    "GpuXid",
    "DiskFills",
    "ServiceLevelsUnknown",
    "EventLoopLags",
    "CertificateExpires",
)


def grafana_rules(alerts: Sequence[Alert]) -> Json:
    """The provisioning file of Grafana's alert rules.

    Raises:
        ValueError: an alert names a dashboard or a panel that does not exist.
    """
    by_title = {dashboard.title: dashboard for dashboard in dashboards.all_dashboards()}
    group = {
        "orgId": 1,
        "name": GROUP,
        "folder": FOLDER,
        "interval": f"{settings.ALERT_INTERVAL_SECONDS}s",
        "rules": [_grafana_rule(alert, by_title) for alert in alerts],
    }
    retired = [{"orgId": 1, "uid": _uid(name)} for name in RETIRED]
    return {"apiVersion": 1, "groups": [group], "deleteRules": retired}


def prometheus_rules(alerts: Sequence[Alert]) -> Json:
    """The same alerts as a rule file of Prometheus."""
    interval = f"{settings.ALERT_INTERVAL_SECONDS}s"
    return {"groups": [{"name": GROUP, "interval": interval, "rules": [_prometheus_rule(alert) for alert in alerts]}]}


def _uid(name: str) -> str:
    # Stable across upgrades: links to the rule and silences contain it.
    return f"glasshouse-{name.lower()}"


def _runbook_url(alert: Alert) -> str:
    return f"{RUNBOOK}#{alert.anchor}"


def _grafana_rule(alert: Alert, dashboards_by_title: dict[str, Dashboard]) -> Json:
    dashboard = dashboards_by_title.get(alert.dashboard)
    if dashboard is None:
        known = ", ".join(dashboards_by_title)
        raise ValueError(f"{alert.name} names the dashboard {alert.dashboard!r}; there are {known}.")
    return {
        "uid": _uid(alert.name),
        "title": alert.name,
        "condition": "C",
        "data": [_query(alert), _threshold(alert)],
        # Filters return nothing when all is well; TargetDown covers missing data.
        "noDataState": "OK",
        "execErrState": "Alerting" if alert.fires_on_error else "OK",
        "for": alert.for_,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": _grafana_summary(alert),
            "description": alert.description,
            "resolved": alert.resolved,
            "runbook_url": _runbook_url(alert),
            "__dashboardUid__": dashboard.uid,
            "__panelId__": str(dashboard.panel_id(alert.panel)),
        },
    }


def _query(alert: Alert) -> Json:
    model = {"refId": "A", "expr": alert.expr, "instant": True, "range": False}
    return {
        "refId": "A",
        "datasourceUid": DATASOURCE_UID,
        "relativeTimeRange": {"from": 600, "to": 0},
        "model": model,
    }


def _threshold(alert: Alert) -> Json:
    evaluator = {"type": "lt" if alert.below else "gt", "params": [alert.limit]}
    model = {
        "refId": "C",
        "type": "threshold",
        "expression": "A",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
        "conditions": [{"type": "query", "evaluator": evaluator}],
    }
    return {
        "refId": "C",
        "datasourceUid": "__expr__",
        "relativeTimeRange": {"from": 600, "to": 0},
        "model": model,
    }


def _grafana_summary(alert: Alert) -> str:
    # A filter returns nothing when all is well, and then there is no value to format: without the `with`, Grafana would
    # log an error every minute.
    return alert.summary.replace(VALUE, f"{{{{ with $values.A }}}}{{{{ {alert.value_format} .Value }}}}{{{{ end }}}}")


def _prometheus_rule(alert: Alert) -> Json:
    return {
        "alert": alert.name,
        "expr": f"({alert.expr}) {'<' if alert.below else '>'} {alert.limit}",
        "for": alert.for_,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary.replace(VALUE, f"{{{{ {alert.value_format} $value }}}}"),
            "description": alert.description,
            "resolved": alert.resolved,
            "runbook_url": _runbook_url(alert),
        },
    }
