"""What Grafana reads at its start besides dashboards and alerts: where the data is, and where the dashboards lie.

Both are variables of Grafana's environment, which compose.yaml sets: the same files serve a Grafana elsewhere.
"""

from observability import settings

DATASOURCE_UID = "prometheus"
DASHBOARD_FOLDER = "Glasshouse"
DASHBOARD_PATH = "/etc/grafana/dashboards"


def datasources() -> dict[str, object]:
    """The stack's Prometheus, under a fixed uid that alerts name."""
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus",
                "uid": DATASOURCE_UID,
                "type": "prometheus",
                "access": "proxy",
                "url": "${PROMETHEUS_URL}",
                "isDefault": True,
                "editable": False,
                "jsonData": {
                    # $__rate_interval is derived from it: a larger number draws blunt rates, a smaller one gaps.
                    "timeInterval": f"{settings.SCRAPE_INTERVAL_SECONDS}s",
                    "httpMethod": "POST",
                    "prometheusType": "Prometheus",
                },
            }
        ],
    }


def dashboards() -> dict[str, object]:
    """The folder of dashboards. They can be copied and changed, and the originals come back at the next start."""
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "glasshouse",
                "folder": DASHBOARD_FOLDER,
                "type": "file",
                "allowUiUpdates": False,
                "disableDeletion": True,
                "updateIntervalSeconds": 30,
                "options": {"path": "${DASHBOARDS_PATH}", "foldersFromFilesStructure": False},
            }
        ],
    }
