"""A real Prometheus with the project's own alerts and recordings, in a hurry: an hour passes in 36 seconds.

Limits and expressions are those that Grafana evaluates; the generator itself divides every duration in them (see
`observability.alerts.hurry`). Whether an alert fires is Prometheus' own word: `ALERTS{alertstate="firing"}`.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.program import HOST, free_port, until
from tests.support.prometheus import Prometheus

from observability import settings
from observability.alerts import hurry, prometheus, rules
from observability.queries.stack import EXPECTED_JOBS

DIVISOR = 100
_SCRAPE_S = 0.5


class Watch(Prometheus):
    """Prometheus, watching.

    Args:
        directory: For its log, data and configuration.
        targets: The address of each job.
        key_file: What llama.cpp wants to be shown.
    """

    def __init__(self, directory: Path, targets: Mapping[str, list[str]], key_file: Path) -> None:
        port = free_port()
        self.targets = {job: [f"{HOST}:{port}"] for job in EXPECTED_JOBS} | dict(targets)
        rules = {"alerts.yml": _alerts(), "recording.yml": hurry.recordings(DIVISOR)}
        super().__init__(directory, port, _config(self.targets, key_file), rules)

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        return {series["metric"]["alertname"] for series in self.ask('ALERTS{alertstate="firing"}')}

    def raised(self) -> set[str]:
        """The names of the alerts that fire, or will if it lasts."""
        return {series["metric"]["alertname"] for series in self.ask("ALERTS")}

    def fired(self) -> set[str]:
        """The names of the alerts that have fired since the beginning."""
        return {series["metric"]["alertname"] for series in self.ask('last_over_time(ALERTS{alertstate="firing"}[1h])')}

    def wait_until_well(self) -> None:
        """All targets are up, every rule has been evaluated, and no alert is raised."""
        count = sum(len(addresses) for addresses in self.targets.values())
        until(lambda: len(self.ask("up == 1")) == count, 30, "every target is up")
        until(lambda: not self.raised(), 30, f"all alerts are silent, not {self.raised()}")
        groups = self.client.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
        assert not [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]


def wait(condition: Any, seconds: float, meanwhile: Any, pause: float = 0.3) -> float | None:
    """Does something again and again until a condition holds: after how many seconds, or None if it never did."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        if condition():
            return passed
        meanwhile()
        time.sleep(pause)
    return None


def _config(targets: Mapping[str, list[str]], key_file: Path) -> dict[str, Any]:
    jobs: list[dict[str, Any]] = [
        {"job_name": job, "static_configs": [{"targets": addresses}]} for job, addresses in targets.items()
    ]
    for job in jobs:
        if job["job_name"] == "llamacpp":
            job["authorization"] = {"credentials_file": str(key_file)}
    interval = f"{_SCRAPE_S * 1000:.0f}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "rule_files": ["recording.yml", "alerts.yml"],
        "scrape_configs": jobs,
    }


def _alerts() -> dict[str, Any]:
    document: dict[str, Any] = prometheus.rules([hurry.alert(alert, DIVISOR) for alert in rules.every()])
    (group,) = document["groups"]
    group["interval"] = f"{settings.ALERT_INTERVAL_SECONDS * 1000 // DIVISOR}ms"
    return document
