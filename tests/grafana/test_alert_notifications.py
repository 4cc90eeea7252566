"""Faults in the stack fire alerts in Grafana, which notifies a webhook of them and of their end, in compressed time.

The rules are those of observability/ with every duration divided (see `tests.support.time_compression`), since no test
waits for hours; test_files.py checks the rules as shipped.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.grafana.conftest import running
from tests.support.fake_exporter import FakeStack
from tests.support.grafana.faults import Fault, Faults
from tests.support.grafana.installation import Installation
from tests.support.grafana.panels import dashboards, has_data, needs, panel_queries
from tests.support.grafana.results import FaultOutcome, Results
from tests.support.grafana.server import Grafana, provisioning
from tests.support.grafana.stack import Stack
from tests.support.grafana.webhook import WebhookReceiver
from tests.support.program import free_port, until
from tests.support.time_compression import compress_alert

from observability import rule_files
from observability.alerts import all_alerts, contact
from observability.files import as_yaml

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(900)]

_DIVISOR = 20
# What no real part does on demand, beside the real ones.
_FAKES = ("nginx", "node-exporter", "gpu-exporter")
_FIRING_TIMEOUT_S, _RESOLVED_TIMEOUT_S = 240, 300


@pytest.fixture(scope="module")
def webhook() -> Iterator[WebhookReceiver]:
    """The webhook of the Grafana with compressed rules."""
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def faults(stack: Stack) -> Iterator[Faults]:
    """The faults to inject. The load has stopped, so that ratios cover only the faulty requests."""
    stack.load.stop()
    with FakeStack() as fakes:
        for job in _FAKES:
            stack.prometheus.targets[job] += fakes.targets[job]
        failing, slow, lost = (stack.faulty_gateway(name) for name in ("failing", "slow", "lost"))
        with Faults(stack, failing, slow, lost, fakes) as faults:
            yield faults


@pytest.fixture(scope="module")
def compressed_grafana(
    stack: Stack,
    installation: Installation,
    grafana: Grafana,
    webhook: WebhookReceiver,
    faults: Faults,
    results: Results,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Grafana]:
    """A second Grafana with compressed alert rules, on a Prometheus with compressed recording rules."""
    assert grafana, "it is one of the targets"
    assert faults, "and so are their gateways"
    stack.prometheus.compress_time(_DIVISOR)
    stack.prometheus.wait()
    directory = tmp_path_factory.mktemp("compressed")
    provisioning(directory, webhook.url, _compressed_files())
    results.scale = _DIVISOR
    with running(installation, directory, free_port(), stack.prometheus.url) as grafana_with_compressed_rules:
        # The disk is this machine's own: in compressed time, a build beside the tests looks as if it would fill it.
        until(
            lambda: set(_firing(grafana_with_compressed_rules)) <= {"FilesystemSpaceFillingUp"},
            120,
            "nothing fires before a fault",
            pause=1,
        )
        yield grafana_with_compressed_rules


def _compressed_files() -> dict[str, str]:
    document: Any = rule_files.grafana_rules([compress_alert(alert, _DIVISOR) for alert in all_alerts()])
    for group in document["groups"]:
        group["interval"] = "10s"  # Grafana's minimum
    policies: Any = contact.policies()
    for policy in policies["policies"]:
        for route in (policy, *policy["routes"]):
            route |= {"group_wait": "1s", "group_interval": "5s"}
    comment = "Written by a test."
    return {"alerting/rules.yaml": as_yaml(document, comment), "alerting/policies.yaml": as_yaml(policies, comment)}


def test_faults_of_parts_and_gpu(
    faults: Faults, compressed_grafana: Grafana, webhook: WebhookReceiver, results: Results
) -> None:
    results.faults += _inject(faults.of_parts_and_gpu(), compressed_grafana, webhook)
    # Panels that may be empty on a healthy stack have data after an XID error.
    panels = [panel for dashboard in dashboards() for panel in panel_queries(dashboard)]
    for panel in (panel for panel in panels if needs(panel.dashboard, panel.title) == "needs-fault"):
        answers = compressed_grafana.query(list(panel.queries), 600)
        assert all(has_data(answer) for answer in answers.values()), panel.title


def test_faults_of_requests_and_endpoint(
    faults: Faults, compressed_grafana: Grafana, webhook: WebhookReceiver, results: Results
) -> None:
    results.faults += _inject(faults.of_requests_and_endpoint(), compressed_grafana, webhook)


def test_faults_of_models_and_machines(
    faults: Faults, compressed_grafana: Grafana, webhook: WebhookReceiver, results: Results
) -> None:
    results.faults += _inject(faults.of_models_and_machines(), compressed_grafana, webhook)


def test_prometheus_down(
    faults: Faults, compressed_grafana: Grafana, webhook: WebhookReceiver, results: Results, stack: Stack
) -> None:
    results.faults += _inject(faults.of_prometheus(), compressed_grafana, webhook)
    stack.prometheus.wait()


def _inject(faults: tuple[Fault, ...], grafana: Grafana, webhook: WebhookReceiver) -> list[FaultOutcome]:
    """Starts all faults, waits for their alerts, ends all, and waits until the alerts have resolved."""
    started = time.monotonic()
    with contextlib.ExitStack() as ends:
        for fault in faults:
            ends.callback(fault.end)
            fault.begin()
        firing = _when(faults, lambda: _firing(grafana), _FIRING_TIMEOUT_S, "firing")
        delivered = _when(faults, lambda: _notified(webhook, faults, "firing", started), _FIRING_TIMEOUT_S, "notified")
    ended = time.monotonic()
    resolved = _when(
        faults, lambda: _notified(webhook, faults, "resolved", ended), _RESOLVED_TIMEOUT_S, "notified as resolved"
    )
    until(
        lambda: not set(resolved) & set(_firing(grafana)), _RESOLVED_TIMEOUT_S, "the alerts are inactive again", pause=1
    )
    for fault in faults:
        first = webhook.first(fault.alert, "firing", started)
        assert first is not None
        _, message = first
        assert message["annotations"]["runbook_url"].startswith("docs/runbook.md#")
        assert message["annotations"]["summary"] in message["message"]
        assert message["title"].startswith("[FIRING:")
        assert "no value" not in message["title"] + message["message"]
        last = webhook.first(fault.alert, "resolved", ended)
        assert last is not None
        assert f"Resolved: {last[1]['annotations']['resolved']}" in last[1]["message"]
    return [
        FaultOutcome(
            fault=fault.name,
            alert=fault.alert,
            firing=firing[fault.alert] - started,
            delivered=delivered[fault.alert] - started,
            resolved=resolved[fault.alert] - ended,
        )
        for fault in faults
    ]


def _firing(grafana: Grafana) -> dict[str, float]:
    now = time.monotonic()
    return {rule["name"]: now for rule in grafana.rules() if rule["state"] == "firing"}


def _notified(webhook: WebhookReceiver, faults: tuple[Fault, ...], status: str, since: float) -> dict[str, float]:
    return {fault.alert: first[0] for fault in faults if (first := webhook.first(fault.alert, status, since))}


def _when(
    faults: tuple[Fault, ...], seen: Callable[[], dict[str, float]], seconds: float, what: str
) -> dict[str, float]:
    """When each alert was first in the state that `seen` reports."""
    expected, found = {fault.alert for fault in faults}, dict[str, float]()

    def all_seen() -> bool:
        found.update({alert: when for alert, when in seen().items() if alert in expected and alert not in found})
        return expected == set(found)

    try:
        until(all_seen, seconds, f"every alert is {what}", pause=0.5)
    except AssertionError as late:
        late.add_note(f"not {what}: {expected - set(found)}")
        raise
    return found
