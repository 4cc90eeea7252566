"""Alerts as files that Grafana reads at its start, in the one shape that it takes there.

A rule without a uid, title, condition, folder or data, two rules of one title, or an interval that is no multiple of
10 s stop Grafana from starting. In its files `$x` is a variable of the environment, except in a rule's annotations and
queries.
"""

from collections.abc import Sequence

from observability import dashboards, settings
from observability.alerts.alert import VALUE, Alert
from observability.dashboard import Dashboard
from observability.provisioning import DATASOURCE_UID

Json = dict[str, object]

FOLDER = "Glasshouse alerts"  # apart from the dashboards' folder: each is provisioned by its own reader
GROUP = "glasshouse"
# Rules of earlier versions: Grafana keeps what has left its files, unless it is told. An alert that goes is added here.
RETIRED = ("RequestsFail", "FirstTokenSlow")


def rules(alerts: Sequence[Alert]) -> Json:
    """The file of rules.

    Raises:
        ValueError: an alert names a dashboard or a panel that does not exist.
    """
    pages = {page.title: page for page in dashboards.every()}
    group = {
        "orgId": 1,
        "name": GROUP,
        "folder": FOLDER,
        "interval": f"{settings.ALERT_INTERVAL_SECONDS}s",
        "rules": [_rule(alert, pages) for alert in alerts],
    }
    retired = [{"orgId": 1, "uid": _uid(name)} for name in RETIRED]
    return {"apiVersion": 1, "groups": [group], "deleteRules": retired}


def _uid(name: str) -> str:
    # Links and silences keep it.
    return f"glasshouse-{name.lower()}"


def _rule(alert: Alert, pages: dict[str, Dashboard]) -> Json:
    page = pages.get(alert.dashboard)
    if page is None:
        raise ValueError(f"{alert.name} names the dashboard {alert.dashboard!r}; there are {', '.join(pages)}.")
    return {
        "uid": _uid(alert.name),
        "title": alert.name,
        "condition": "C",
        "data": [_query(alert), _condition(alert)],
        # Filters leave nothing when all is well; that nothing is measured at all is TargetDown's to tell.
        "noDataState": "OK",
        "execErrState": "Alerting" if alert.fires_when_blind else "OK",
        "for": alert.lasting,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": _filled_in(alert),
            "description": alert.meaning,
            "runbook": alert.runbook,
            "__dashboardUid__": page.uid,
            "__panelId__": str(page.panel_number(alert.panel)),
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


def _condition(alert: Alert) -> Json:
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


def _filled_in(alert: Alert) -> str:
    # A healthy filter finds nothing, and then there is no value to format: Grafana would log an error each minute.
    return alert.summary.replace(VALUE, f"{{{{ with $values.A }}}}{{{{ {alert.value_format} .Value }}}}{{{{ end }}}}")
