"""docs/drill.md lists every fault of `make drill` with its alerts, and every alert that has none."""

import re

from tests.unit.docs.pages import Page

from glasshouse.drill.catalogue import FAULTS, NOT_DRILLED

_PAGE = Page("docs/drill.md").text


def _alerts(cell: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in cell.split(","))


def test_every_fault_is_listed_with_its_alerts() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]+\| ([^|]+) \|[^|]+\|$", _PAGE, re.MULTILINE)
    assert [(name, _alerts(cell)) for name, cell in rows] == [(fault.name, fault.alerts) for fault in FAULTS]


def test_every_alert_that_cannot_be_drilled_is_listed() -> None:
    table = _PAGE.partition("## Alerts that cannot be drilled")[2].partition("\n\n##")[0]
    rows = re.findall(r"^\| (\w+(?:, \w+)*) \| .+ \|$", table, re.MULTILINE)
    assert {name for cell in rows for name in _alerts(cell)} - {"alert"} == NOT_DRILLED.keys()
