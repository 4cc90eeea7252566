"""What Prometheus knows of the composed stack, against what was sent."""

import re
import time
from typing import Any

import httpx
import pytest
from tests.stack.parts.stack import Stack, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

JOBS = {
    "gateway", "llamacpp", "llamacpp-launcher", "nginx", "node-exporter", "probe", "prometheus",
}  # fmt: skip
SENT = {
    (httpx.codes.OK, "ok"): 20,
    (httpx.codes.NOT_FOUND, "client_error"): 5,
    (httpx.codes.UNAUTHORIZED, "client_error"): 5,
}
INFLIGHT = re.compile(r"^gateway_inflight_requests\{.*\} (\S+)$", re.MULTILINE)
FINISHED = re.compile(r"^gateway_requests_total\{(.*)\} (\S+)$", re.MULTILINE)


def finished(stack: Stack) -> dict[tuple[int, str], float]:
    """Requests by code and outcome, as the gateway has counted them once none is in flight."""
    until(lambda: sum(map(float, INFLIGHT.findall(stack.gateway_metrics()))) == 0, 10, "nothing is in flight")
    counted: dict[tuple[int, str], float] = {}
    for labels, value in FINISHED.findall(stack.gateway_metrics()):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if label["route"] == "/v1/chat/completions":
            key = (int(label["code"]), label["outcome"])
            counted[key] = counted.get(key, 0) + float(value)
    return counted


def chat(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "What is Glasshouse?"}], "max_tokens": 8}


def test_every_job_is_scraped_and_up(stack: Stack) -> None:
    until(lambda: stack.value("count(up == 1)") >= len(JOBS), 60, "every target is up")
    up = {sample["metric"]["job"]: float(sample["value"][1]) for sample in stack.query("up")}
    assert {job for job, value in up.items() if value == 1} == JOBS
    # Grafana has no stand-in here, and Prometheus says so.
    assert {job for job, value in up.items() if value == 0} == {"grafana"}


def test_each_exporter_gives_what_it_is_there_for(stack: Stack) -> None:
    until(lambda: stack.value('probe_success{job="probe"}') == 1, 60, "the probe succeeds")
    assert stack.value('min(probe_ssl_earliest_cert_expiry{job="probe"})') > time.time() + 86_400
    assert stack.value('sum(nginx_connections_accepted{job="nginx"})') > 0
    assert stack.value('node_memory_MemTotal_bytes{job="node-exporter"}') > 1e9
    assert stack.value('count(llamacpp:n_decode_total{job="llamacpp"} or llamacpp:tokens_predicted_total)') > 0


def test_counters_are_equal_to_what_was_sent(stack: Stack) -> None:
    before = finished(stack)
    with stack.client() as client, stack.client(key="sk-wrong") as stranger:
        for _ in range(20):
            assert client.post("/v1/chat/completions", json=chat("glasshouse-demo")).status_code == httpx.codes.OK
        for _ in range(5):
            client.post("/v1/chat/completions", json=chat("gpt-9"))
            stranger.post("/v1/chat/completions", json=chat("glasshouse-demo"))
    after = finished(stack)
    risen = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert risen == SENT
    total = sum(after.values())
    expression = 'sum(gateway_requests_total{job="gateway",route="/v1/chat/completions"})'
    until(lambda: stack.value(expression) == total, 30, "Prometheus has scraped the same")


def test_prometheus_keeps_its_data_when_the_stack_stops_and_starts(stack: Stack) -> None:
    oldest = "min(timestamp(up offset 0s)) - 0 * time()"
    assert stack.value(oldest) > 0
    began = time.time()
    until(lambda: stack.value("count_over_time(prometheus_build_info[10m])") > 1, 30, "there is a past")
    stack.compose("stop", "--timeout", "20")
    stack.up()
    until(lambda: stack.value("count(up)") > 0, 60, "Prometheus scrapes again")
    kept = stack.value(f"max(prometheus_build_info @ {began:.0f})")
    assert kept == 1
