"""Faults in the stack fire in Grafana, are told to a webhook, and are told to be over: with alerts in a hurry.

The rules are those of observability/ with every duration divided by the same number (see `alerts.hurry`), since nobody
waits hours for a test; the shipped ones are judged in test_files.py.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.grafana.conftest import running
from tests.support.grafana.faults import Fault, Faults
from tests.support.grafana.home import Home
from tests.support.grafana.page import Results, Told
from tests.support.grafana.panels import dashboards, has_data, needs, shown
from tests.support.grafana.receiver import Receiver
from tests.support.grafana.server import Grafana, provisioning
from tests.support.grafana.stack import Stack
from tests.support.program import free_port, until

from observability.alerts import contact, hurry, rules
from observability.alerts import grafana as in_grafana
from observability.text import as_yaml

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(900)]

_DIVISOR = 20
_FIRES_S, _ENDS_S = 240, 300


@pytest.fixture(scope="module")
def told() -> Iterator[Receiver]:
    """Who is told by the Grafana that is in a hurry."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def faults(stack: Stack) -> Iterator[Faults]:
    """What can go wrong. The clients have left: shares are those of the faulty requests alone."""
    stack.load.stop()
    with Faults(stack, stack.faulty_gateway("failing"), stack.faulty_gateway("slow")) as faults:
        yield faults


@pytest.fixture(scope="module")
def hurried(
    stack: Stack,
    home: Home,
    grafana: Grafana,
    told: Receiver,
    faults: Faults,
    results: Results,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Grafana]:
    """A second Grafana, whose rules look at shorter times, and a Prometheus that records those."""
    assert grafana, "it is one of the targets"
    assert faults, "and so are their gateways"
    stack.prometheus.hurry(_DIVISOR)
    stack.prometheus.wait()
    directory = tmp_path_factory.mktemp("hurried")
    provisioning(directory, told.url, _in_a_hurry())
    results.scale = _DIVISOR
    with running(home, directory, free_port(), stack.prometheus.url) as hurried:
        # The disk is this machine's own: in a hurry, a build beside the tests looks as if it would fill it.
        until(lambda: set(_firing(hurried)) <= {"DiskFills"}, 120, "nothing fires before a fault", pause=1)
        yield hurried


def _in_a_hurry() -> dict[str, str]:
    document: Any = in_grafana.rules([hurry.alert(alert, _DIVISOR) for alert in rules.every()])
    for group in document["groups"]:
        group["interval"] = "10s"  # Grafana's least
    policies: Any = contact.policies()
    for policy in policies["policies"]:
        for route in (policy, *policy["routes"]):
            route |= {"group_wait": "1s", "group_interval": "5s"}
    about = "Of a test."
    return {"alerting/rules.yaml": as_yaml(document, about), "alerting/policies.yaml": as_yaml(policies, about)}


def test_faults_of_parts_and_of_the_gpu(faults: Faults, hurried: Grafana, told: Receiver, results: Results) -> None:
    results.told += _tried(faults.of_parts_and_gpu(), hurried, told)
    # What was empty on a stack that is well, and said so, has something to show after an XID.
    panels = [panel for page in dashboards() for panel in shown(page)]
    for panel in (panel for panel in panels if needs(panel.dashboard, panel.title) == "needs-fault"):
        answers = hurried.query(list(panel.queries), 600)
        assert all(has_data(answer) for answer in answers.values()), panel.title


def test_faults_of_requests_and_of_the_door(faults: Faults, hurried: Grafana, told: Receiver, results: Results) -> None:
    results.told += _tried(faults.of_requests_and_door(), hurried, told)


def test_a_prometheus_that_is_gone(
    faults: Faults, hurried: Grafana, told: Receiver, results: Results, stack: Stack
) -> None:
    results.told += _tried(faults.of_prometheus(), hurried, told)
    stack.prometheus.wait()


def _tried(faults: tuple[Fault, ...], grafana: Grafana, told: Receiver) -> list[Told]:
    """Begins all faults, waits for their alerts, ends all, waits for the end."""
    began = time.monotonic()
    with contextlib.ExitStack() as ends:
        for fault in faults:
            ends.callback(fault.end)
            fault.begin()
        firing = _when(faults, lambda: _firing(grafana), _FIRES_S, "firing")
        delivered = _when(faults, lambda: _told(told, faults, "firing", began), _FIRES_S, "told")
    over = time.monotonic()
    resolved = _when(faults, lambda: _told(told, faults, "resolved", over), _ENDS_S, "told to be over")
    until(lambda: not set(resolved) & set(_firing(grafana)), _ENDS_S, "the alerts are silent again", pause=1)
    for fault in faults:
        first = told.first(fault.alert, "firing", began)
        assert first is not None
        _, message = first
        assert message["annotations"]["runbook"].startswith("docs/runbook.md#")
        assert message["annotations"]["summary"] in message["message"]
        assert "no value" not in message["title"] + message["message"]
    return [
        Told(
            fault=fault.name,
            alert=fault.alert,
            firing=firing[fault.alert] - began,
            delivered=delivered[fault.alert] - began,
            resolved=resolved[fault.alert] - over,
        )
        for fault in faults
    ]


def _firing(grafana: Grafana) -> dict[str, float]:
    now = time.monotonic()
    return {rule["name"]: now for rule in grafana.rules() if rule["state"] == "firing"}


def _told(told: Receiver, faults: tuple[Fault, ...], status: str, since: float) -> dict[str, float]:
    return {fault.alert: first[0] for fault in faults if (first := told.first(fault.alert, status, since))}


def _when(
    faults: tuple[Fault, ...], seen: Callable[[], dict[str, float]], seconds: float, what: str
) -> dict[str, float]:
    """When each alert was first seen."""
    awaited, found = {fault.alert for fault in faults}, dict[str, float]()

    def all_seen() -> bool:
        found.update({alert: when for alert, when in seen().items() if alert in awaited and alert not in found})
        return awaited == set(found)

    try:
        until(all_seen, seconds, f"every alert is {what}", pause=0.5)
    except AssertionError as late:
        late.add_note(f"not {what}: {awaited - set(found)}")
        raise
    return found
