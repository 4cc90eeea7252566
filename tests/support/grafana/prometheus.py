"""The Prometheus of the stack under test: the shipped jobs and recording rules, with this machine's addresses."""

import signal
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.drill import drill_job
from tests.support.generated_files import generated_yaml
from tests.support.program import HOST, Program, free_port, until
from tests.support.services import Services
from tests.support.time_compression import compressed_evaluation_interval, compressed_recording_rules

Json = dict[str, Any]

_CONFIG = "prometheus/prometheus.gpu.yml"  # the one with every job
_RECORDING, _ALERTS = "prometheus/rules/recording.yml", "prometheus/rules/alerts.yml"


class Prometheus:
    """A Prometheus that scrapes these targets.

    Args:
        directory: for its configuration, data and log.
        targets: addresses by the names of jobs; jobs without one are left out.
        blackbox: the exporter that probes.
        services: knows the key of the engines.
    """

    def __init__(self, directory: Path, targets: dict[str, list[str]], blackbox: str, services: Services) -> None:
        self.directory, self._blackbox, self._key_file = directory, blackbox, services.key_file
        self._address = f"{HOST}:{free_port()}"
        self.targets = targets | {"prometheus": [self._address]}
        self.url = f"http://{self._address}"
        (directory / "rules").mkdir(parents=True)
        self._write(generated_yaml(_RECORDING), scrape_s=2, evaluate="2s")

    def start(self) -> None:
        where = self.directory
        command = (
            "prometheus", f"--config.file={where}/prometheus.yml", f"--storage.tsdb.path={where}/data",
            f"--web.listen-address={self._address}",
        )  # fmt: skip
        self._program = Program("prometheus", command, {}, where)

    def stop(self) -> None:
        self._program.stop()

    def version(self) -> str:
        """As it reports itself."""
        answer = httpx.get(f"{self.url}/api/v1/status/buildinfo", trust_env=False).raise_for_status().json()
        return str(answer["data"]["version"])

    def compress_time(self, divisor: int) -> None:
        """Divides the windows of recording rules, for alerts whose windows are divided; scrapes more often to match."""
        rules, interval = compressed_recording_rules(divisor), compressed_evaluation_interval(divisor)
        self._write(rules, scrape_s=1, evaluate=interval)
        self._program.send(signal.SIGHUP)

    def ask(self, expression: str) -> list[Json]:
        """The series of a query; none while it starts."""
        try:
            answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, trust_env=False, timeout=10)
        except httpx.TransportError:
            return []
        found: list[Json] = answer.json()["data"]["result"] if answer.is_success else []
        return found

    def wait(self, without: Collection[str] = ()) -> None:
        """Waits until every target, except those of the given jobs, has been scraped."""
        expected = {target for job, targets in self.targets.items() if job not in without for target in targets}

        def missing() -> set[str]:
            return expected - {series["metric"]["instance"] for series in self.ask("max_over_time(up[20s]) == 1")}

        try:
            until(lambda: not missing(), 120, "every target is up", pause=0.5)
        except AssertionError as late:
            late.add_note(f"down: {missing()} of {self.targets}")
            raise

    def _write(self, rules: Mapping[str, Any], scrape_s: int, evaluate: str) -> None:
        config = generated_yaml(_CONFIG)
        config["global"] = {"scrape_interval": f"{scrape_s}s", "evaluation_interval": evaluate}
        jobs = [job for job in config["scrape_configs"] if job["job_name"] in self.targets]
        self._labels = jobs[0]["static_configs"][0].get("labels", {})
        local = [self._with_local_targets(job, 2 * scrape_s) for job in jobs]
        config["scrape_configs"] = [*local, drill_job(self.directory)]
        files = {"prometheus.yml": config, "rules/recording.yml": rules, "rules/alerts.yml": generated_yaml(_ALERTS)}
        for name, document in files.items():
            (self.directory / name).write_text(yaml.safe_dump(document), encoding="utf-8")

    def _with_local_targets(self, job: Json, probe_s: int) -> Json:
        """A shipped job with this machine's addresses."""
        local = {**job, "static_configs": [{"targets": self.targets[job["job_name"]], "labels": self._labels}]}
        if local.pop("dns_sd_configs", None):  # discovers the container of an optional engine
            del local["relabel_configs"]
        if "authorization" in local:
            local["authorization"] = {"credentials_file": str(self._key_file)}
        if local["job_name"] == "probe":
            *labels, last = local["relabel_configs"]
            assert last["replacement"] == "blackbox:9115"
            local["relabel_configs"] = [*labels, {**last, "replacement": self._blackbox}]
            local["scrape_interval"] = local["scrape_timeout"] = f"{probe_s}s"
        return local
