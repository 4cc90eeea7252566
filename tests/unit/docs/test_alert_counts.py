"""How many alerts there are, and how many are tested by fault injection, is what the READMEs say."""

import re

import pytest
from tests.integration.alerts.test_alerts_fire import FIRING
from tests.integration.alerts.test_drill import LOADS, SYNTHETIC
from tests.unit.docs.pages import Page

from observability.alerts import all_alerts

_INJECTED = {*FIRING, *(alert for fault in (*SYNTHETIC, *LOADS) for alert in fault.alerts)}


@pytest.mark.parametrize(
    ("page", "alerts"),
    [
        ("README.md", r"(\d+) alerts"),
        ("README.ko.md", r"알림 (\d+)개"),
        ("CHANGELOG.md", r"(\d+) alerts with burn rates"),
    ],
)
def test_the_number_of_alerts(page: str, alerts: str) -> None:
    assert re.findall(alerts, Page(page).text) == [str(len(all_alerts()))]


@pytest.mark.parametrize(
    ("page", "injected"),
    [("README.md", r"(\d+) are also tested by fault injection"), ("README.ko.md", r"(\d+)개는 [^|.]*장애를 주입해")],
)
def test_the_number_of_alerts_with_an_injected_fault(page: str, injected: str) -> None:
    assert re.findall(injected, Page(page).text) == [str(len(_INJECTED))]
