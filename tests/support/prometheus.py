"""A real Prometheus with files, a port and data of its own, and queries to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.program import HOST, Program


class Prometheus:
    """A running Prometheus.

    Args:
        directory: For its files, data and log.
        port: Where it listens; chosen by the caller, since it may scrape itself.
        config: Its configuration.
        rules: Files of rules by their names, which the configuration names.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        config: Mapping[str, Any],
        rules: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name, document in {"prometheus.yml": config, **(rules or {})}.items():
            (directory / name).write_text(yaml.safe_dump(document), encoding="utf-8")
        command = (
            "prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={HOST}:{port}",
        )  # fmt: skip
        self.client = httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False, timeout=10)
        self._program = Program("prometheus", command, {}, directory)

    def stop(self) -> None:
        self.client.close()
        self._program.stop()

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query; none while it starts."""
        try:
            response = self.client.get("/api/v1/query", params={"query": expression})
        except httpx.TransportError:
            return []
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return []
        found: list[dict[str, Any]] = response.raise_for_status().json()["data"]["result"]
        return found
