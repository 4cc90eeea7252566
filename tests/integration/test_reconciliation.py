"""The residual by cause of known traffic: a real Prometheus scrapes a real engine and real gateways."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.engine import DEMO, Engine
from tests.support.gateway import Gateway
from tests.support.mock import Mock
from tests.support.program import HOST, free_port, until
from tests.support.prometheus import Prometheus
from tests.support.services import Services

from observability.queries import reconciliation
from observability.recording import reconciliation as rules

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")

# Everything happens within one window, from before the first request to after the last.
_WINDOW = "1h"
# As in production: on a busy machine a shorter timeout would be a failed scrape.
_SCRAPE_S = 5
# Tokens that llama.cpp generates after the last event that the client of a cancelled stream was sent.
_OVERSHOOT = 8
_QUESTION = {"model": DEMO, "messages": [{"role": "user", "content": "What is Glasshouse?"}], "max_tokens": 8}


@pytest.fixture
def mock(services: Services) -> Mock:
    """A second engine for the same model, which is always full: retries after a 429 need no budget."""
    mock: Mock = services.mock(name="twin", owned_by="llamacpp", models=(DEMO,))
    mock.change(fault="status:429", running=0)
    return mock


def watch(directory: Path, engine: Engine, gateways: dict[str, Gateway]) -> Prometheus:
    """A Prometheus with the rules of the reconciliation."""
    port = free_port()
    authorization = {"credentials_file": str(engine.key_file)}
    jobs = [
        {
            "job_name": "llamacpp",
            "authorization": authorization,
            "static_configs": [{"targets": [f"{HOST}:{engine.port}"], "labels": {"vm": "a"}}],
        },
        {
            "job_name": "gateway",
            "static_configs": [
                {"targets": [f"{HOST}:{gateway.metrics_port}"], "labels": {"vm": vm}}
                for vm, gateway in gateways.items()
            ],
        },
    ]
    series = {
        name: expr.replace(f"[{reconciliation.WINDOW}]", f"[{_WINDOW}]") for name, expr in rules.group().series.items()
    }
    recorded = [{"record": name, "expr": _without_extrapolation(expr)} for name, expr in series.items()]
    config = {
        "global": {"scrape_interval": f"{_SCRAPE_S}s", "scrape_timeout": f"{_SCRAPE_S}s"},
        "rule_files": ["recording.yml"],
        "scrape_configs": jobs,
    }
    group = {"name": "reconciliation", "interval": "1s", "rules": recorded}
    return Prometheus(directory, port, config, {"recording.yml": {"groups": [group]}})


def _without_extrapolation(expr: str) -> str:
    """The rule with its counters as they are: all of them began at 0 in the window, where `increase` would guess."""
    return expr.replace("increase(", "max_over_time(")


def residual(prometheus: Prometheus, name: str) -> dict[str, float]:
    found = prometheus.ask(f"reconciliation:{name}_residual:increase5m")
    return {series["metric"]["cause"]: float(series["value"][1]) for series in found}


def cancel(gateway: Gateway, after: int) -> None:
    """A stream whose client leaves after some events with text."""
    body = {**_QUESTION, "stream": True, "max_tokens": 1500, "ignore_eos": True}
    with gateway.http as http, http.stream("POST", "/v1/chat/completions", json=body) as response:
        events = (line for line in response.iter_lines() if "content" in line)
        for _ in range(after):
            next(events)


def ask(gateway: Gateway, times: int) -> None:
    with gateway.http as http:
        for number in range(times):
            body = {**_QUESTION, "stream": number % 2 == 0}
            http.post("/v1/chat/completions", json=body).raise_for_status()


def test_residuals_of_known_traffic_have_their_causes(
    services: Services, mock: Mock, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    engine = services.llamacpp()
    # The mock passes its probes but refuses requests: they are retried on llama.cpp.
    gateways = {
        "a": services.gateway(mock, engine, PROBE_INTERVAL="3600"),
        "b": services.gateway(engine, PROBE_INTERVAL="3600"),
    }
    prometheus = watch(tmp_path / "prometheus", engine, gateways)
    try:
        until(lambda: len(prometheus.ask("up == 1")) == 3, 120, "every target is up")
        for gateway in gateways.values():
            ask(gateway, 6)
        settle(prometheus, engine, gateways)
        assert gateways["a"].scrape().total("gateway_engine_retries_total") > 0
        for kind in ("output", "input"):
            found = residual(prometheus, f"{kind}_tokens")
            assert found.pop("probe") >= 2
            # Exact, to the token, over two gateways and a retry, but for the mock's own tokens: it is not scraped.
            assert sum(map(abs, found.values())) == -found["unattributed"] == unscraped(gateways["a"], kind)

        cancels = (4, 4, 20)
        for after in cancels:
            cancel(gateways["a"], after)
        settle(prometheus, engine, gateways)
        output, prompts = residual(prometheus, "output_tokens"), residual(prometheus, "input_tokens")
        assert output["unfinished"] >= sum(cancels) - len(cancels)  # the first event has a role, and no token
        overshoot = output["unattributed"] + output["retry"] + unscraped(gateways["a"], "output")
        assert 0 <= overshoot <= _OVERSHOOT * len(cancels)
        measured(f"3 cancelled streams: llama.cpp generated {overshoot:.0f} tokens more than were sent")
        expected = len(cancels) * prompt_tokens(gateways["b"]) - unscraped(gateways["a"], "input")
        assert prompts["unfinished"] + prompts["retry"] == expected
        assert prompts["unattributed"] == prompts["direct"] == prompts["restart"] == 0

        with engine.http as http:
            for _ in range(5):
                direct = http.post("/v1/chat/completions", json={**_QUESTION, "max_tokens": 40, "ignore_eos": True})
                direct.raise_for_status()
        settle(prometheus, engine, gateways)
        after_direct = residual(prometheus, "output_tokens")
        assert after_direct["unattributed"] > output["unattributed"]
        explained = [each["unattributed"] + each["retry"] for each in (output, after_direct)]
        assert explained[1] - explained[0] == 5 * 40
    finally:
        prometheus.stop()


def unscraped(gateway: Gateway, kind: str) -> float:
    """Tokens of the mock's probes, which no scraped engine has counted."""
    return gateway.scrape().total("gateway_engine_probe_tokens_total", engine="twin", type=kind)


def settle(prometheus: Prometheus, engine: Engine, gateways: dict[str, Gateway]) -> None:
    """Waits until every counter is at rest and recorded."""
    for gateway in gateways.values():
        gateway.scrape_when_idle()
    with engine.http as http:
        until(lambda: engine.busy(http) == 0, 30, "the engine is idle")
    at_rest = time.time()
    until(lambda: oldest(prometheus, "up") > at_rest, 120, "the last counts are scraped")
    scraped = time.time()
    # In the order of evaluation; nginx does not run here.
    *_, last = (name for name in rules.group().series if not name.startswith("reconciliation:nginx"))
    until(lambda: oldest(prometheus, last) > scraped, 120, "the rules have seen them")


def oldest(prometheus: Prometheus, series: str) -> float:
    """When the oldest of the latest samples of some series is from; 0 without any."""
    found = prometheus.ask(f"min(timestamp({series}))")
    return float(found[0]["value"][1]) if found else 0.0


def prompt_tokens(gateway: Gateway) -> int:
    with gateway.http as http:
        usage = http.post("/v1/chat/completions", json=_QUESTION).raise_for_status().json()["usage"]
    return int(usage["prompt_tokens"])
