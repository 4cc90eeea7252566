"""The metrics of the composed stack in Prometheus, compared with what was sent."""

import time
from typing import Any

import httpx
import pytest
from tests.support.compose.stack import Stack, until
from tests.support.samples import Samples, risen

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

JOBS = {
    "gateway", "llamacpp", "llamacpp-launcher", "nginx", "node-exporter", "probe", "prometheus",
}  # fmt: skip
CHAT = "/v1/chat/completions"
SENT = {(CHAT, "200", "ok"): 20, (CHAT, "404", "client_error"): 5, (CHAT, "401", "client_error"): 5}


def scrape_when_idle(stack: Stack) -> Samples:
    """The gateway's own counters, once every request that was relayed is counted."""
    until(lambda: counters(stack).total("gateway_inflight_requests") == 0, 10, "nothing is in flight")
    return counters(stack)


def counters(stack: Stack) -> Samples:
    return Samples.parse(stack.gateway_metrics())


def finished(samples: Samples) -> dict[tuple[str, ...], float]:
    """Chats by route, code and outcome."""
    counted = samples.by("gateway_requests_total", "route", "code", "outcome")
    return {labels: count for labels, count in counted.items() if labels[0] == CHAT}


def chat(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "What is Glasshouse?"}], "max_tokens": 8}


def test_every_job_is_scraped_and_up(stack: Stack) -> None:
    until(lambda: stack.value("count(up == 1)") >= len(JOBS), 60, "every target is up")
    up = {sample["metric"]["job"]: float(sample["value"][1]) for sample in stack.query("up")}
    assert {job for job, value in up.items() if value == 1} == JOBS
    # Grafana has no stand-in here, and Prometheus says so.
    assert {job for job, value in up.items() if value == 0} == {"grafana"}


def test_each_exporter_provides_its_metrics(stack: Stack) -> None:
    until(lambda: stack.value('probe_success{job="probe"}') == 1, 60, "the probe succeeds")
    assert stack.value('min(probe_ssl_earliest_cert_expiry{job="probe"})') > time.time() + 86_400
    assert stack.value('sum(nginx_connections_accepted{job="nginx"})') > 0
    assert stack.value('node_memory_MemTotal_bytes{job="node-exporter"}') > 1e9
    assert stack.value('count(llamacpp:n_decode_total{job="llamacpp"} or llamacpp:tokens_predicted_total)') > 0


def test_counters_are_equal_to_what_was_sent(stack: Stack) -> None:
    before = finished(scrape_when_idle(stack))
    with stack.client() as client, stack.client(key="sk-wrong") as stranger:
        for _ in range(5):  # first, since what is refused is never in flight
            client.post(CHAT, json=chat("gpt-9"))
            stranger.post(CHAT, json=chat("glasshouse-demo"))
        for _ in range(20):
            assert client.post(CHAT, json=chat("glasshouse-demo")).status_code == httpx.codes.OK
    after = finished(scrape_when_idle(stack))
    assert risen(before, after) == SENT
    total = sum(after.values())
    expression = f'sum(gateway_requests_total{{job="gateway",route="{CHAT}"}})'
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
