"""A real Prometheus with the project's alerts and recording rules in compressed time: an hour passes in 36 seconds.

Limits and expressions are those that Grafana evaluates, with every duration divided (see
`tests.support.time_compression`). Whether an alert fires is read from Prometheus: `ALERTS{alertstate="firing"}`.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.program import HOST, free_port, until
from tests.support.prometheus import Prometheus
from tests.support.time_compression import compress_alert, compressed_recording_rules

from observability import rule_files, settings
from observability.alerts import all_alerts
from observability.queries.stack import EXPECTED_JOBS

DIVISOR = 100
_SCRAPE_S = 0.5
# Scraped as in production, for an alert on scrapes that take longer than the timeout: limits are not compressed.
_SLOWLY_SCRAPED = "grafana"


class CompressedPrometheus(Prometheus):
    """Prometheus with compressed rules.

    Args:
        directory: For its log, data and configuration.
        targets: The address of each job.
        key_file: The key that llama.cpp requires.
    """

    def __init__(self, directory: Path, targets: Mapping[str, list[str]], key_file: Path) -> None:
        port = free_port()
        self.targets = {job: [f"{HOST}:{port}"] for job in EXPECTED_JOBS} | dict(targets)
        rules = {"alerts.yml": _alerts(), "recording.yml": compressed_recording_rules(DIVISOR)}
        super().__init__(directory, port, _config(self.targets, key_file), rules)

    def firing(self) -> set[str]:
        """The names of firing alerts."""
        return {series["metric"]["alertname"] for series in self.ask('ALERTS{alertstate="firing"}')}

    def active(self) -> set[str]:
        """The names of firing and pending alerts."""
        return {series["metric"]["alertname"] for series in self.ask("ALERTS")}

    def fired(self) -> set[str]:
        """The names of all alerts that have fired so far."""
        return {series["metric"]["alertname"] for series in self.ask('last_over_time(ALERTS{alertstate="firing"}[1h])')}

    def wait_until_healthy(self) -> None:
        """Waits until all targets are up, every rule has been evaluated, and no alert is active."""
        count = sum(len(addresses) for addresses in self.targets.values())
        until(lambda: len(self.ask("up == 1")) == count, 30, "every target is up")
        until(lambda: not self.active(), 30, f"all alerts are silent, not {self.active()}")
        groups = self.client.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
        assert not [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]


def wait(condition: Any, seconds: float, repeat: Any, pause: float = 0.3) -> float | None:
    """Repeats an action until a condition holds; returns the seconds it took, or None if it never did."""
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        if condition():
            return elapsed
        repeat()
        time.sleep(pause)
    return None


def _config(targets: Mapping[str, list[str]], key_file: Path) -> dict[str, Any]:
    jobs: list[dict[str, Any]] = [
        {"job_name": job, "static_configs": [{"targets": addresses}]} for job, addresses in targets.items()
    ]
    for job in jobs:
        if job["job_name"] == "llamacpp":
            job["authorization"] = {"credentials_file": str(key_file)}
        if job["job_name"] == _SLOWLY_SCRAPED:
            job["scrape_interval"] = job["scrape_timeout"] = f"{settings.SCRAPE_TIMEOUT_SECONDS}s"
    interval = f"{_SCRAPE_S * 1000:.0f}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "rule_files": ["recording.yml", "alerts.yml"],
        "scrape_configs": jobs,
    }


def _alerts() -> dict[str, Any]:
    document: dict[str, Any] = rule_files.prometheus_rules([compress_alert(alert, DIVISOR) for alert in all_alerts()])
    (group,) = document["groups"]
    group["interval"] = f"{settings.ALERT_INTERVAL_SECONDS * 1000 // DIVISOR}ms"
    return document
