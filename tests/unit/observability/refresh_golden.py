"""Records golden/*.metrics from real parts: `make golden`. Needs Docker's test images and the real vLLM; `gpu` needs
neither, but gcc.

A golden file is a scrape without what differs between machines: values are 0, and labels are empty except those whose
values our queries match. What is left is what an expression can rely on: metrics and their labels.

An engine's file name contains the version that the engine reports: after an upgrade there is a new file, the old one is
removed by hand once nobody runs that version, and test_missing_metrics.py reports what has no data with either.
"""

import argparse
import contextlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import httpx
from tests.integration.gpu_exporter import golden
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.mock import chat
from tests.support.program import HOST, ROOT, until
from tests.support.services import Services

GOLDEN = Path(__file__).parent / "golden"
IMAGE = "glasshouse-test/debian:testing"
# Labels with a closed set of values, which our queries match.
KEPT_LABELS = {
    *(
        "clock_event",
        "code",
        "finished_reason",
        "kind",
        "le",
        "limit",
        "outcome",
        "part",
        "phase",
        "reason",
        "result",
        "source",
    ),
    *("state", "stream", "type", "xid"),
}
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SEPARATOR = "==== "

# All of them in one container, as Debian ships them: which metrics they export does not depend on what they monitor.
_EXPORTERS = r"""
openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/k -out /tmp/c -days 30 -subj /CN=nginx 2>/dev/null
cat >/tmp/nginx.conf <<END
error_log stderr; pid /tmp/nginx.pid; events {}
http { access_log off;
  server { listen 8443 ssl; ssl_certificate /tmp/c; ssl_certificate_key /tmp/k; location / { return 200 ok; } }
  server { listen 8081; location / { stub_status; } } }
END
nginx -c /tmp/nginx.conf
prometheus-nginx-exporter --nginx.scrape-uri=http://127.0.0.1:8081/ >/dev/null 2>&1 &
prometheus-node-exporter >/dev/null 2>&1 &
prometheus-blackbox-exporter --config.file=/etc/prometheus/blackbox.yml >/dev/null 2>&1 &
echo 'scrape_configs: []' >/tmp/p.yml
prometheus --config.file=/tmp/p.yml --storage.tsdb.path=/tmp/data >/dev/null 2>&1 &
scrape() { echo "==== $1"; curl -sf --retry 20 --retry-connrefused --retry-delay 1 "$2"; echo; }
scrape nginx http://127.0.0.1:9113/metrics
scrape node-exporter http://127.0.0.1:9100/metrics
scrape probe "http://127.0.0.1:9115/probe?module=front_door&target=https://127.0.0.1:8443/"
scrape prometheus http://127.0.0.1:9090/metrics
"""


def normalized(scrape: str) -> str:
    """A scrape without what differs between machines."""
    return "\n".join(dict.fromkeys(_normalized_line(line) for line in scrape.splitlines() if line.strip())) + "\n"


def _normalized_line(line: str) -> str:
    if line.startswith("#"):
        return line
    name, brace, labels = line.partition("{")
    if not brace:
        return f"{line.split(maxsplit=1)[0]} 0"
    kept = ",".join(f'{key}="{value if key in KEPT_LABELS else ""}"' for key, value in _LABEL.findall(labels))
    return f"{name}{{{kept}}} 0"


def exporters() -> Iterable[tuple[str, str]]:
    """The job and the scrape of each third-party exporter."""
    mount = f"{ROOT / 'prometheus'}:/etc/prometheus:ro"
    completed = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "-v", mount, IMAGE, "bash", "-c", _EXPORTERS],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    for part in completed.stdout.split(_SEPARATOR)[1:]:
        job, _, scrape = part.partition("\n")
        yield job, scrape


def gateway_and_engines(engines: set[str]) -> Iterable[tuple[str, str]]:
    """The job and the scrape of the gateway, and of each engine and its launcher, after traffic and faults."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as exits:
        services = Services(Path(directory), exits)
        running = [getattr(services, name)() for name in sorted(engines)]
        failing = services.mock(name="failing")
        prices = ",".join(f"{engine.kind}=l4" for engine in running)
        gateway = services.gateway(*running, failing, services.mock(name="healthy"), ENGINE_PRICES=prices)
        with gateway.http as http:
            for _ in running:
                _ask(http, DEMO)
            failing.change(fault="status:500")
            until(lambda: _faults_counted(http, gateway), 30, "the failing engine is ejected")
        until(lambda: "gateway_key_cost_usd_total{" in gateway.exposition(), 10, "the cost is booked")
        yield "gateway", gateway.exposition()
        for engine in running:
            yield from _of_engine(engine)


def _ask(http: httpx.Client, model: str) -> None:
    """One complete response, and one that is cancelled after its first events."""
    question = {"model": model, "stream": True, "messages": [{"role": "user", "content": "What is Glasshouse?"}]}
    http.post("/v1/chat/completions", json={**question, "max_tokens": 8}).raise_for_status()
    endless = {**question, "max_tokens": 200, "ignore_eos": True}
    with http.stream("POST", "/v1/chat/completions", json=endless) as answer:
        lines = (line for line in answer.iter_lines() if '"content":"' in line.replace(" ", ""))
        for _ in range(3):
            next(lines)


def _faults_counted(http: httpx.Client, gateway: Gateway) -> bool:
    """Whether a failing engine and an invalid key have created all their counters; sends the requests for it."""
    http.post("/v1/chat/completions", json=chat())  # retries need a budget, so some fail
    refused = http.get("/v1/models", headers={"authorization": "Bearer wrong"})
    return refused.status_code == httpx.codes.UNAUTHORIZED and "gateway_engine_ejections_total{" in gateway.exposition()


def _version(engine: Engine, http: httpx.Client) -> str:
    """vLLM reports it; llama.cpp's wheel is built without one, so the wheel's version is used."""
    if engine.kind == "vllm":
        return str(http.get("/version").raise_for_status().json()["version"])
    return importlib.metadata.version("xllamacpp")


def _of_engine(engine: Engine) -> Iterable[tuple[str, str]]:
    with engine.http as http:
        yield f"{engine.kind}-{_version(engine, http)}", http.get("/metrics").raise_for_status().text
    launcher = httpx.get(f"http://{HOST}:{engine.status_port}/metrics", trust_env=False)
    yield f"{engine.kind}-launcher", launcher.raise_for_status().text


def gpu_exporter() -> Iterable[tuple[str, str]]:
    """The job and the scrape of the GPU exporter, with a stub of NVML that looks like an L4 and has reported an XID."""
    yield "gpu-exporter", golden.page("l4", 79)
    yield "variants/gpu-exporter.mig", golden.page("a100-mig")


def main(arguments: list[str]) -> None:
    """Records the named parts, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["exporters", "gpu", "llamacpp", "vllm", []], metavar="PART")
    parts = set(parser.parse_args(arguments).parts) or {"exporters", "gpu", "llamacpp", "vllm"}
    engines = parts - {"exporters", "gpu"}
    scrapes = [
        *(exporters() if "exporters" in parts else ()),
        *(gpu_exporter() if "gpu" in parts else ()),
        *(gateway_and_engines(engines) if engines else ()),
    ]
    for job, scrape in scrapes:
        (GOLDEN / f"{job}.metrics").write_text(normalized(scrape), encoding="utf-8")
        sys.stderr.write(f"wrote golden/{job}.metrics\n")


if __name__ == "__main__":
    main(sys.argv[1:])
