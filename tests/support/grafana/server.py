"""A running Grafana, started as in the composed stack, and its API."""

import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.grafana.installation import Installation
from tests.support.program import HOST, ROOT, Program

from observability.alerts import contact

# Where the composed stack mounts Grafana's secrets: variables and contact points contain these paths.
_SECRETS = "/run/glasshouse/"
_START_S = 180.0  # the first start creates the database
PASSWORD = "a password for one test run"

Json = dict[str, Any]


def provisioning(directory: Path, alert_url: str, replaced: Mapping[str, str] | None = None) -> Path:
    """A folder for GF_PATHS_PROVISIONING: the shipped files, with the contact point of ALERTS_TO=webhook.

    Args:
        directory: where the folder is made.
        alert_url: the webhook; goes into the file that the contact point reads.
        replaced: texts that replace shipped files, by path below the folder.
    """
    folder = directory / "provisioning"
    shutil.copytree(ROOT / "grafana" / "provisioning", folder)
    for name, text in (("alert-url", alert_url), ("grafana-password", PASSWORD), ("smtp-password", "")):
        (directory / name).write_text(text, encoding="ascii")
    point = (ROOT / "grafana" / "contact-points" / "webhook.yaml").read_text("utf-8")
    assert _SECRETS in point
    # Compose mounts both: the file of ALERTS_TO over the default, and the secret at the path in the file.
    point = point.replace(_SECRETS, f"{directory}/")
    (folder / "alerting" / "contact-points.yaml").write_text(point, encoding="utf-8")
    for path, text in (replaced or {}).items():
        assert (folder / path).exists(), path
        (folder / path).write_text(text, encoding="utf-8")
    return folder


class Grafana:
    """A Grafana with the stack's files.

    Args:
        installation: the Grafana to run.
        directory: for its data and log; contains its provisioning.
        port: to listen on.
        prometheus_url: of the data source.
    """

    def __init__(self, installation: Installation, directory: Path, port: int, prometheus_url: str) -> None:
        self.url = f"http://{HOST}:{port}/grafana"
        shipped = {name: value.replace(_SECRETS, f"{directory}/") for name, value in shipped_environment().items()}
        environment = {
            **shipped,
            "GF_SERVER_ROOT_URL": f"{self.url}/",
            "GF_SERVER_HTTP_ADDR": HOST,
            "GF_SERVER_HTTP_PORT": str(port),
            "GF_PATHS_PROVISIONING": str(directory / "provisioning"),
            "GF_PATHS_DATA": str(directory / "data"),
            "GF_PATHS_LOGS": str(directory / "log"),
            "GF_PATHS_PLUGINS": str(directory / "plugins"),
            "PROMETHEUS_URL": prometheus_url,
            "DASHBOARDS_PATH": str(ROOT / "grafana" / "dashboards" / "all"),
            "GF_UNIFIED_ALERTING_ALERTMANAGER_CONFIG_POLL_INTERVAL": "10s",  # instead of a minute
            "NO_PROXY": "*",
            # For screenshots, in tests only: no login.
            "GF_AUTH_ANONYMOUS_ENABLED": "true",
        }
        command = (*installation.command, "--homepath", str(installation.path))
        self.program = Program("grafana", command, environment, directory)
        # A kept connection may be closed while a test computes, and the next request would fail.
        single_use = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            base_url=self.url, auth=("admin", PASSWORD), trust_env=False, timeout=30, limits=single_use
        )

    def wait(self) -> None:
        """Waits until it answers and would send notifications: at first it has not loaded its contact points.

        Raises:
            StartError: it exited, as it does when a provisioning file is invalid, or took too long.
        """
        self.program.ready(lambda: self._answers() and self._notifies(), _START_S)

    def stop(self) -> None:
        self._client.close()
        self.program.stop()

    def get(self, path: str, **parameters: str) -> Any:
        return self._client.get(path, params=parameters).raise_for_status().json()

    def health(self, datasource: str) -> Json:
        """The data source's health; empty where its plugin has no health check, as in Grafana 9.4."""
        answer = self._client.get(f"/api/datasources/uid/{datasource}/health")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        health: Json = answer.raise_for_status().json()
        return health

    def query(self, queries: list[Json], seconds: int) -> Json:
        """The results of queries over the last seconds; see `query_between`."""
        now = time.time()
        return self.query_between(queries, now - seconds, now)

    def query_between(self, queries: list[Json], start: float, end: float) -> Json:
        """The results of queries by refId, from Grafana's query API; times are in seconds of the epoch."""
        body = {"queries": queries, "from": str(round(start * 1000)), "to": str(round(end * 1000))}
        answer = self._client.post("/api/ds/query", json=body)
        results: Json = answer.json().get("results", {})
        assert results, answer.text
        return results

    def rules(self) -> list[Json]:
        """Every alert rule with its state: name, state, health, lastError, lastEvaluation, alerts …"""
        groups = self.get("/api/prometheus/grafana/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _notifies(self) -> bool:
        """Whether its Alertmanager has loaded the provisioned contact point."""
        answer = self._client.get("/api/alertmanager/grafana/api/v2/status")
        return answer.is_success and answer.json()["config"]["route"]["receiver"] == contact.CONTACT_POINT

    def _answers(self) -> bool:
        try:
            return bool(self._client.get("/api/health").is_success)
        except httpx.TransportError:
            return False


def shipped_environment() -> dict[str, str]:
    """Grafana's environment in compose.yaml, with the defaults of all variables."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    environment: dict[str, str] = services["grafana"]["environment"]
    return {name: _resolved(value or "") for name, value in environment.items()}


def _resolved(value: str) -> str:
    value = re.sub(r"\$\{\w+:\+[^}]*\}", "", value)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).replace("$$", "$")
