"""Grafana's provisioning files for the data source and the folder of dashboards.

The URL and the path are environment variables, which compose.yaml sets: the same files serve a Grafana elsewhere.
"""

from observability import settings

DATASOURCE_UID = "prometheus"
DASHBOARD_FOLDER = "Glasshouse"
DASHBOARD_PATH = "/etc/grafana/dashboards"


def datasources() -> dict[str, object]:
    """The stack's Prometheus, with the fixed uid that alert rules refer to."""
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
                    # Grafana derives $__rate_interval from it: too large smooths rates, too small leaves gaps.
                    "timeInterval": f"{settings.SCRAPE_INTERVAL_SECONDS}s",
                    "httpMethod": "POST",
                    "prometheusType": "Prometheus",
                },
            }
        ],
    }


def dashboards() -> dict[str, object]:
    """The folder of dashboards. Users change a copy; the originals come back at the next start."""
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
