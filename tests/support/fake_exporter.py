"""A fake exporter: a metrics page whose text and delay a test chooses, for faults that no real part has on demand."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

from tests.support.program import HOST


class FakeExporter:
    """Serves a metrics page until it is stopped.

    Args:
        page: The text of the page at each scrape.

    Attributes:
        delay_s: How long each answer takes.
    """

    def __init__(self, page: Callable[[], str]) -> None:
        self.delay_s = 0.0
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(exporter.delay_s)
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(page().encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Prints nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class FakeStack:
    """The parts of a stack that faults need and this machine does not run: nginx, node-exporter, a launcher, a probe.

    Attributes:
        starts: Starts of the launcher's engine.
        nginx_errors: Requests that nginx answered with 502 itself.
        clock_ahead_s: How far the machine's clock is ahead.
        gpu_age_s: How long ago the GPUs were read.
        grafana: Its metrics page, which may be slow.
    """

    def __init__(self) -> None:
        self.starts, self.nginx_errors = 1, 0
        self.clock_ahead_s = self.gpu_age_s = 0.0
        self.grafana = FakeExporter(lambda: "up_to_date 1\n")
        reason = "vLLM was killed by SIGKILL."
        self._exporters = {
            "grafana": self.grafana,
            "probe": FakeExporter(lambda: "probe_success 1\n"),
            "nginx": FakeExporter(lambda: f'nginx_own_responses_total{{code="502"}} {self.nginx_errors}\n'),
            "node-exporter": FakeExporter(lambda: f"node_time_seconds {time.time() + self.clock_ahead_s}\n"),
            "vllm-launcher": FakeExporter(
                lambda: (
                    f"launcher_start_attempts_total {self.starts}\n"
                    f'launcher_last_failure_info{{model="m",reason="{reason}"}} 1\n'
                )
            ),
            "gpu-exporter": FakeExporter(
                lambda: f"gpu_exporter_last_success_timestamp_seconds {time.time() - self.gpu_age_s}\n"
            ),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def targets(self) -> dict[str, list[str]]:
        """The address of each job."""
        return {job: [exporter.address] for job, exporter in self._exporters.items()}

    def stop(self) -> None:
        for exporter in self._exporters.values():
            exporter.stop()
