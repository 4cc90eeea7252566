"""A Prometheus that has only a history, and what its answers cost it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml
from tests.support.program import HOST, Program, free_port
from tests.support.refresh.asked import Asked


class PrometheusOnHistory:
    """A running Prometheus.

    Args:
        directory: of its files; its data are in `data`.
        asked_at: the time of every question.
    """

    def __init__(self, directory: Path, asked_at: int) -> None:
        config = directory / "prometheus.yml"
        config.write_text(yaml.safe_dump({"global": {"scrape_interval": "15s"}}), encoding="utf-8")
        address = f"{HOST}:{free_port()}"
        command = (
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
            "--storage.tsdb.retention.time=20y", f"--web.listen-address={address}",
        )  # fmt: skip
        self._at = asked_at
        self._client = httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=60)
        self._program = Program("prometheus", command, {}, directory)
        self._program.ready(self._is_ready, 120)

    def stop(self) -> None:
        self._client.close()
        self._program.stop()

    def ask(self, asked: Asked, seconds: int, *, statistics: bool = False) -> dict[str, object]:
        """The answer to a request over a range of so many seconds.

        Raises:
            httpx.HTTPStatusError: Prometheus refuses it.
        """
        end = self._at
        parameters: dict[str, str | int] = {"stats": "all"} if statistics else {}
        if asked.path.endswith("values"):
            parameters |= {"match[]": asked.expr, "start": end - seconds, "end": end}
            answer = self._client.get(asked.path, params=parameters)
        else:
            parameters["query"] = asked.expr
            if asked.step:
                step = asked.step
                parameters |= {"start": (end - seconds) // step * step, "end": end // step * step, "step": step}
            else:
                parameters["time"] = end
            answer = self._client.post(asked.path, data=parameters)
        found: dict[str, object] = answer.raise_for_status().json()
        return found

    def cpu_seconds(self) -> float:
        """CPU time of all its threads since it was started."""
        spent = 0
        for file in Path(f"/proc/{self._program.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # the thread has ended
                spent += int(file.read_text("utf-8").split()[0])
        return spent / 1e9

    def _is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def running(directory: Path, asked_at: int) -> Iterator[PrometheusOnHistory]:
    """A Prometheus that is stopped at the end."""
    prometheus = PrometheusOnHistory(directory, asked_at)
    try:
        yield prometheus
    finally:
        prometheus.stop()
