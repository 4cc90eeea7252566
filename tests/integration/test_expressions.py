"""Every expression of a dashboard or an alert, evaluated by a real Prometheus that scraped real parts under load."""

import contextlib
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.gpu_exporter.exporter import Exporter, Machine, build_stub
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.generated_files import exempt, expressions, generated_yaml
from tests.support.program import HOST, ROOT, free_port, until
from tests.support.prometheus import Prometheus
from tests.support.services import Services
from tests.support.time_compression import compressed_recording_rules

from observability import downsampling, recording, settings
from observability.queries import events, gpu
from observability.queries.gateway import engines

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")

# Recording rules count what came between two evaluations: with intervals and offsets divided alike, a scrape of 500 ms
# is to them what one of 15 s is to those that are shipped.
_DIVISOR = 30
_SPENT = "increase(gateway_output_equivalent_tokens_total[1m]) > 0"
_JOB = re.compile(r'job=(~?)"([^"]+)"')
# nginx and its exporter do not run here.
_OF_NGINX = {name for name in recording.series() if name.startswith("reconciliation:nginx_requests_")}
# Nor is the gateway restarted; and the engine, which other tests use too, may have started more than five minutes ago.
_NO_EVENT = {events.GATEWAY_STARTED, events.ENGINE_READY}
# Alerts whose expression is a filter, which returns nothing on a healthy stack.
_FILTERS = {f"alert {name}" for name in (
    *("AvailabilityBudgetBurnFast", "AvailabilityBudgetBurnSlow", "LatencyBudgetBurnFast", "LatencyBudgetBurnSlow"),
    *("EngineStalled", "EngineThroughputDegraded", "HighCancellationRate", "SloRecordingRulesMissing"),
    *("GpuLost", "GpuXidError", "ModelUnavailable", "ModelTtftHigh", "ModelTpotHigh", "ScrapeTimeout", "ClockSkew"),
    "TokenReconciliationDrift",
)}  # fmt: skip


@pytest.fixture(scope="module")
def prometheus(
    engine: Engine, module_services: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus with the stack's own jobs and short intervals, after some traffic."""
    with contextlib.ExitStack() as exits:
        yield _watched(engine, module_services, tmp_path_factory.mktemp("prometheus"), exits)


def _watched(engine: Engine, services: Services, directory: Path, exits: contextlib.ExitStack) -> Prometheus:
    gateway = services.gateway(engine, ENGINE_PRICES=f"{engine.kind}=l4")  # nothing bad has happened to it
    port = free_port()
    build_stub(directory)
    exporter = Exporter(directory, directory, Machine(directory, "l4"), {})
    exits.callback(exporter.stop)
    exporter.ready(exporter.answers, 20)
    addresses = {
        "gpu-exporter": f"{HOST}:{exporter.port}",
        "gateway": f"{HOST}:{gateway.metrics_port}",
        engine.kind: f"{HOST}:{engine.port}",
        f"{engine.kind}-launcher": f"{HOST}:{engine.status_port}",
        "prometheus": f"{HOST}:{port}",
    }
    scraped = generated_yaml("prometheus/prometheus.gpu.yml")["scrape_configs"]
    jobs = [_moved(job, addresses[name], engine) for job in scraped if (name := job["job_name"]) in addresses]
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "rule_files": ["recording.yml"],
        "scrape_configs": jobs,
    }
    _traffic(gateway)  # first, so that every series is there
    prometheus = Prometheus(directory, port, config, {"recording.yml": compressed_recording_rules(_DIVISOR)})
    exits.callback(prometheus.stop)
    until(lambda: len(prometheus.ask("up == 1")) == len(addresses), 30, "every target is up")
    scraped = {series["metric"]["job"] for series in prometheus.ask("up")}
    without = _without_data(engine)
    for name, expr in recording.series().items():
        if name not in without and _can_be_evaluated(expr, scraped):
            _send_until_recorded(prometheus, name, gateway)
    until(lambda: _scraped(prometheus) == _counted(gateway), 10, "all of the traffic is scraped")
    until(lambda: bool(prometheus.ask(_SPENT)), 10, "what it cost is in the books, which come later")
    return prometheus


def _without_data(engine: Engine) -> set[str]:
    """What this stack has nothing to record of."""
    # An L4 does not report the temperature of its memory.
    gauges = {gpu.recorded("MEMORY_TEMP")} | ({engines.SERVED_BY_OTHERS} if engine.kind == "vllm" else set())
    return _OF_NGINX | _NO_EVENT | gauges | {downsampling.long_steps(name) for name in gauges}


def _send_until_recorded(prometheus: Prometheus, name: str, gateway: Gateway) -> None:
    """Sends traffic until it is recorded: rules of such short intervals miss an evaluation on a busy machine."""

    def recorded() -> bool:
        if not (found := bool(prometheus.ask(_recorded(name)))):
            _traffic(gateway)
        return found

    until(recorded, 60, f"{name} is recorded", pause=1)


def _recorded(name: str) -> str:
    """What the rule of a series has recorded: of steps without traffic most record nothing."""
    return f"last_over_time({name}[1h])"


def _moved(job: dict[str, Any], address: str, engine: Engine) -> dict[str, Any]:
    secret = {"authorization": {"credentials_file": str(engine.key_file)}} if "authorization" in job else {}
    return {
        "job_name": job["job_name"],
        **secret,
        "static_configs": [{"targets": [address], "labels": {"vm": settings.VM}}],
    }


def _traffic(gateway: Gateway) -> None:
    """Enough responses for every panel, and one cancelled stream."""
    question = {"model": DEMO, "messages": [{"role": "user", "content": "What is Glasshouse?"}], "max_tokens": 8}
    with gateway.http as http:
        for number in range(12):
            body = {**question, "stream": number % 2 == 0}
            http.post("/v1/chat/completions", json=body).raise_for_status()
        endless = {**question, "stream": True, "max_tokens": 2000, "ignore_eos": True}
        with http.stream("POST", "/v1/chat/completions", json=endless) as answer:
            lines = (line for line in answer.iter_lines() if "content" in line)
            for _ in range(4):
                next(lines)
    gateway.scrape_when_idle()


def _counted(gateway: Gateway) -> float:
    return gateway.scrape().total("gateway_requests_total", model=DEMO)


def _scraped(prometheus: Prometheus) -> float:
    (series,) = prometheus.ask(f'sum(gateway_requests_total{{model="{DEMO}"}})')
    return float(series["value"][1])


def _can_be_evaluated(expression: str, scraped: set[str]) -> bool:
    """Whether this stack has every job of an expression, and of what is recorded for it; with `or`, one is enough."""
    needed = any if " or vector(0)" in expression else all
    recorded, known = recording.series(), ""
    while expression != known:
        known = expression
        expression += "".join(expr for name, expr in recorded.items() if f"{name}{{" in known and expr not in known)
    return needed(
        any(re.fullmatch(name, job) if regular else name == job for job in scraped)
        for regular, name in _JOB.findall(expression)
    )


def test_every_expression_has_data_or_a_reason_for_none(
    prometheus: Prometheus, measured: Callable[[str], None], engine: Engine
) -> None:
    scraped = {series["metric"]["job"] for series in prometheus.ask("up")}
    evaluated = {name: expr for name, expr in expressions().items() if _can_be_evaluated(expr, scraped)}
    # Prometheus itself evaluates what is recorded, by the intervals of this test.
    evaluated |= {f"recorded {name}": _recorded(name) for name in recording.series() if f"recorded {name}" in evaluated}
    results = {name: prometheus.ask(expr) for name, expr in evaluated.items()}
    no_data = {name for name, series in results.items() if not series}
    without = {f"recorded {name}" for name in _without_data(engine)}
    without |= {name for name in evaluated if name.endswith("annotation: Engine ready")}  # of the same event
    assert no_data - set(exempt()) - _FILTERS - without == set()
    values = [float(sample["value"][1]) for series in results.values() for sample in series]
    assert all(math.isfinite(value) for value in values)
    panels, filled = _panels(evaluated), _panels(name for name, series in results.items() if series)
    measured(f"with {engine.kind}: {len(filled)} of {len(panels)} panels that it can fill have data")


def _panels(names: Iterable[str]) -> set[tuple[str, ...]]:
    """Dashboard and title of each panel among the names of expressions."""
    split = (tuple(name.split(": ")) for name in names if name.startswith("glasshouse-"))
    return {labels[:2] for labels in split if labels[1] != "annotation"}


def test_panels_with_a_reason_to_be_empty_are_empty(prometheus: Prometheus) -> None:
    """A panel that has data on a healthy stack must not be exempt."""
    for name in exempt():
        assert not prometheus.ask(expressions()[name]), f"{name} has data: remove its needs-…"


def test_the_overview_shows_the_traffic(prometheus: Prometheus) -> None:
    shown = {
        name.split(": ")[1]: [float(series["value"][1]) for series in prometheus.ask(expr)]
        for name, expr in expressions().items()
        if name.startswith("glasshouse-overview")
    }
    assert shown["Availability (range)"] == [1]
    assert shown["Error rate (range)"] == shown["Error rate (5m)"] == [0]
    assert shown["Scrape targets down"] == [0]
    assert shown["Engines ready"] == [engines.ENGINES_FACTOR + 1]
    assert shown["Requests in flight"] == [0]
    assert shown["Engine states"] == [1]
    (cancelled,) = shown["Cancelled (5m)"]
    assert 0 < cancelled < 0.2
    for window in ("(5m)", "(range)"):
        (first_token,) = shown[f"TTFT p95 {window}"]
        assert 0 < first_token < 10


def test_the_other_dashboards_show_the_state_of_the_stack(prometheus: Prometheus, engine: Engine) -> None:
    evaluated = expressions()

    def shown(panel: str, column: str = "") -> list[float]:
        name = f"glasshouse-{panel}: {column or panel.partition(': ')[2]}"
        return [float(series["value"][1]) for series in prometheus.ask(evaluated[name])]

    prices = yaml.safe_load((ROOT / "config" / "prices.yaml").read_text(encoding="utf-8"))["prices"]
    assert shown("cost: Hourly cost (USD/h)") == [prices["l4"]["usd_per_hour"]]
    (idle,) = shown("cost: Idle share of cost (range)")
    assert 0 < idle < 1
    assert shown("gpu: Free memory") == [1579]  # as the stub's machine has it, in MiB
    assert shown("gpu: Data source") == [0]
    assert shown("gateway: Error rate (range)") == [0]
    assert shown("gateway: Requests lost in worker crashes") == [0]
    assert shown("gateway: Workers down") == [0]
    name = {"vllm": "vLLM", "llamacpp": "llama.cpp"}[engine.kind]
    assert shown("engine: Waiting", name) == [0]
    assert shown("engine: Engine state", "{{job}} {{vm}}") == [1]
