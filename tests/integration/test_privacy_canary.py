"""The privacy canary against a real gateway, a real engine and a real Prometheus, and against a part that leaks."""

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.support.engine import Engine
from tests.support.gateway import Gateway
from tests.support.native import NativeStack
from tests.support.program import HOST, free_port, until
from tests.support.prometheus import Prometheus
from tests.support.services import Services

from glasshouse.privacy_canary import canary
from glasshouse.privacy_canary.settings import Settings

needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")


class LeakyProxy:
    """A proxy before the gateway that logs what it relays, and makes a label of it."""

    def __init__(self, target: str, directory: Path) -> None:
        self.log, self.prompts = directory / "proxy.log", dict[str, None]()
        self.log.touch()
        self.target = target
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self.url = f"http://{HOST}:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    samples = (f"prompts_total{{prompt={json.dumps(text)}}} 1\n" for text in proxy.prompts)
                    self._answer(200, f"# TYPE prompts_total counter\n{''.join(samples)}".encode())
                else:
                    self._relay("GET", b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with proxy.log.open("ab") as log:
                    log.write(body + b"\n")
                messages = json.loads(body)["messages"]
                if isinstance(messages, list):
                    proxy.prompts[messages[0]["content"]] = None
                self._relay("POST", body)

            def _relay(self, method: str, body: bytes) -> None:
                kept = {
                    name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}
                }
                answer = httpx.request(
                    method, proxy.target + self.path, content=body, headers=kept, timeout=60, trust_env=False
                )
                self._answer(answer.status_code, answer.content)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Logs bodies only."""

        return Handler


@pytest.fixture
def llamacpp(services: Services) -> Engine:
    return services.llamacpp()


@pytest.fixture
def gateway(services: Services, llamacpp: Engine) -> Gateway:
    return services.gateway(llamacpp)


@pytest.fixture
def proxy(gateway: Gateway, tmp_path: Path) -> Iterator[LeakyProxy]:
    started = LeakyProxy(gateway.url, tmp_path)
    yield started
    started.stop()


def reads(gateway: Gateway, engine: Engine, directory: Path, **more: Any) -> Settings:
    """What the canary reads of these two parts, and more."""
    key = directory / "api-key"
    key.write_text(gateway.key)
    places: dict[str, Any] = {
        "logs": {"gateway": str(gateway.program.log), "llamacpp": str(engine.program.log)},
        "pages": {
            "gateway": f"http://{HOST}:{gateway.metrics_port}/metrics",
            "llamacpp": f"http://{HOST}:{engine.port}/metrics",
            "llamacpp-launcher": f"http://{HOST}:{engine.status_port}/metrics",
        },
    }
    for name in ("logs", "pages"):
        places[name] |= more.pop(name, {})
    return Settings(key_file=key, engine_key_file=engine.key_file, settle=1.0, **{"url": gateway.url, **places, **more})


def test_a_stack_that_keeps_prompts_to_itself_is_clean(gateway: Gateway, llamacpp: Engine, tmp_path: Path) -> None:
    settings = reads(gateway, llamacpp, tmp_path)
    assert canary.is_ready(settings)
    report = canary.run(settings)
    assert (report.failure, report.unreadable) == (None, {})
    assert report.found == {
        "log:gateway": 0, "log:llamacpp": 0,
        "metrics:gateway": 0, "metrics:llamacpp": 0, "metrics:llamacpp-launcher": 0,
    }  # fmt: skip
    assert report.result == "clean"
    sent = [line for line in gateway.lines(event="request") if line["request_id"].startswith("privacy-canary-")]
    assert sorted(line["outcome"] for line in sent if "chat" in line["route"]) == ["client_error", "ok", "ok"]


@needs_prometheus
def test_leaks_into_a_log_a_label_and_prometheus_are_found_where_they_are(
    gateway: Gateway, llamacpp: Engine, proxy: LeakyProxy, tmp_path: Path
) -> None:
    port = free_port()
    scraped = {
        "job_name": "proxy", "scrape_interval": "1s", "scrape_timeout": "1s",
        "static_configs": [{"targets": [proxy.url.removeprefix("http://")]}],
    }  # fmt: skip
    prometheus = Prometheus(tmp_path / "prometheus", port, {"scrape_configs": [scraped]})
    try:
        until(lambda: bool(prometheus.ask("up == 1")), 60, "the proxy is scraped")
        settings = reads(
            gateway,
            llamacpp,
            tmp_path,
            url=proxy.url,
            logs={"proxy": str(proxy.log)},
            pages={"proxy": f"{proxy.url}/metrics"},
            prometheus=f"http://{HOST}:{port}",
        )
        report = canary.run(settings, lambda _: _scraped(prometheus))
    finally:
        prometheus.stop()
    assert (report.failure, report.unreadable, report.result) == (None, {}, "found")
    leaks = {place: count for place, count in report.found.items() if count}
    # Two prompts, and one that is refused, with the token in it twice; the first two are one label's value.
    assert leaks == {"log:proxy": 4, "metrics:proxy": 1, "prometheus:labels": 1}


def _scraped(prometheus: Prometheus) -> None:
    until(lambda: bool(prometheus.ask("prompts_total")), 60, "Prometheus has the label")


def test_a_part_that_is_gone_is_unknown_and_not_clean(gateway: Gateway, llamacpp: Engine, tmp_path: Path) -> None:
    settings = reads(
        gateway,
        llamacpp,
        tmp_path,
        logs={"vllm": str(tmp_path / "vllm.log")},
        pages={"gone": f"http://{HOST}:{free_port()}/metrics"},
        prometheus=f"http://{HOST}:{free_port()}",
    )
    report = canary.run(settings)
    assert report.unreadable.keys() == {"log:vllm", "metrics:gone", "prometheus:labels"}
    assert report.found.keys().isdisjoint(report.unreadable)
    assert report.result == "incomplete"


def test_the_native_stack_runs_it_when_it_is_enabled(tmp_path: Path) -> None:
    port = free_port()
    stack = NativeStack.create(
        tmp_path, PRIVACY_CANARY="true", PRIVACY_CANARY_INTERVAL="60", PRIVACY_CANARY_PORT=str(port)
    )
    try:
        done = stack.make("up")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "secrets" / "privacy-canary" / "api-key").is_file()
        log = tmp_path / "run" / "logs" / "privacy-canary.log"
        until(lambda: log.exists() and "\n" in log.read_text(), 120, "the first run has ended")
        line = json.loads(log.read_text().splitlines()[0])
        assert (line["result"], line["unreadable"], line["failure"]) == ("clean", {}, None)
        page = httpx.get(f"http://{HOST}:{port}/metrics", trust_env=False).text
        assert 'privacy_canary_found{place="log:gateway"} 0\n' in page
        assert 'privacy_canary_runs_total{result="clean"} 1\n' in page
    finally:
        stack.make("down")
    assert stack.leftovers() == []
