"""Every expression of a dashboard or an alert, asked of a real Prometheus that scraped real parts under load."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml
from tests.integration.parts.engine import DEMO, Engine
from tests.integration.parts.gateway import Gateway
from tests.integration.parts.program import HOST, Program, free_port, until
from tests.unit.observability.parts import expressions, generated_yaml

from observability import recording

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")

# What has no data here: a part of the expression, and why.
_NOT_HERE = {
    'job="gpu-exporter"': "no GPU",
    'job="probe"': "no front door: the composed stack has one",
    'job="node-exporter"': "no exporter of the machine: the composed stack has one",
}
# Alerts whose expression is a filter, and leaves nothing when all is well.
_FILTERS = {f"alert {name}" for name in (
    *("ErrorsBurnFast", "ErrorsBurnSlowly", "LatencyBurnsFast", "LatencyBurnsSlowly"),
    *("EngineStalled", "OutputCollapsed", "ClientsLeave", "ServiceLevelsUnknown"),
)}  # fmt: skip
# Asked of every engine at once: has data from the one that is here.
_OF_EACH_ENGINE = {"alert EngineQueueLong"}
_OTHER = {"llamacpp": 'job="vllm"', "vllm": 'job="llamacpp"'}


@pytest.fixture(scope="module")
def prometheus(
    engine: Engine, gateway_of: Callable[[int], Gateway], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A Prometheus with the stack's own jobs, in a hurry, after some traffic."""
    gateway, port = gateway_of(1), free_port()
    directory = tmp_path_factory.mktemp("prometheus")
    addresses = {
        "gateway": f"{HOST}:{gateway.metrics_port}",
        engine.kind: f"{HOST}:{engine.port}",
        f"{engine.kind}-launcher": f"{HOST}:{engine.status_port}",
        "prometheus": f"{HOST}:{port}",
    }
    shape = "gpu" if engine.kind == "vllm" else "cpu"
    scraped = generated_yaml(f"prometheus/prometheus.{shape}.yml")["scrape_configs"]
    jobs = [_moved(job, addresses[name], engine) for job in scraped if (name := job["job_name"]) in addresses]
    rules = recording.rules(interval="500ms")
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "rule_files": ["r.yml"],
        "scrape_configs": jobs,
    }
    for name, document in (("p", config), ("r", rules)):
        (directory / f"{name}.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    command = (
        "prometheus", f"--config.file={directory}/p.yml", f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={HOST}:{port}",
    )  # fmt: skip
    _traffic(gateway)  # first, so that every series is there
    program = Program("prometheus", command, {}, directory)
    try:
        with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
            until(lambda: len(_ask(client, "up == 1")) == len(addresses), 30, "every target is up")
            _traffic(gateway)
            until(lambda: _scraped(client) == _counted(gateway), 10, "all of the traffic is scraped")
            until(lambda: all(_ask(client, name) for name in recording.series()), 10, "rules have recorded it")
            yield client
    finally:
        program.stop()


def _moved(job: dict[str, Any], address: str, engine: Engine) -> dict[str, Any]:
    secret = {"authorization": {"credentials_file": str(engine.key_file)}} if "authorization" in job else {}
    return {"job_name": job["job_name"], **secret, "static_configs": [{"targets": [address]}]}


def _traffic(gateway: Gateway) -> None:
    """Enough answers to be judged, and one stream that is left."""
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
    until(lambda: gateway.scrape().total("gateway_inflight_requests") == 0, 10, "nothing in flight")


def _counted(gateway: Gateway) -> float:
    return gateway.scrape().total("gateway_requests_total", model=DEMO)


def _scraped(client: httpx.Client) -> float:
    (told,) = _ask(client, f'sum(gateway_requests_total{{model="{DEMO}"}})')
    return float(told["value"][1])


def _ask(client: httpx.Client, expression: str) -> list[dict[str, Any]]:
    try:
        answer = client.get("/api/v1/query", params={"query": expression})
    except httpx.TransportError:
        return []
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # it is starting
        return []
    found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
    return found


def test_every_expression_has_data_or_a_reason_for_none(prometheus: httpx.Client, engine: Engine) -> None:
    expected = {
        who: not any(part in expr for part in (*_NOT_HERE, _OTHER[engine.kind])) for who, expr in expressions().items()
    }
    expected |= dict.fromkeys(_FILTERS, False) | dict.fromkeys(_OF_EACH_ENGINE, True)
    expected["alert TargetDown"] = True  # it names jobs of the front door too, and has data from the others
    answers = {who: _ask(prometheus, expr) for who, expr in expressions().items()}
    assert {who: bool(found) for who, found in answers.items()} == expected
    values = {who: float(series["value"][1]) for who, found in answers.items() for series in found}
    assert all(value == value for value in values.values()), "NaN"  # noqa: PLR0124 - only NaN differs from itself


def test_the_numbers_are_those_of_the_traffic(prometheus: httpx.Client) -> None:
    told = {
        who.split(": ")[1]: [float(series["value"][1]) for series in _ask(prometheus, expr)]
        for who, expr in expressions().items()
        if who.startswith("glasshouse-overview")
    }
    assert told["Availability"] == [1]
    assert told["Failed requests"] == [0]
    assert told["Targets down"] == [0]
    assert told["Engines ready"] == [1]
    assert told["In flight"] == [0]
    assert told["Engine states"] == [1]
    (cancelled,) = told["Cancelled"]
    assert 0 < cancelled < 0.2
    (first_token,) = told["First token, p95"]
    assert 0 < first_token < 10
