"""Every panel's question, asked through Grafana, has an answer on a stack under load."""

import contextlib
from collections import Counter

import pytest
from tests.support.grafana.page import Results
from tests.support.grafana.panels import Shown, dashboards, has_data, needs, shown
from tests.support.grafana.server import Grafana
from tests.support.grafana.stack import Stack
from tests.support.program import until

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(300)]

_SECONDS = 120
# What these tests have no part for; a GPU they have, made up as it is.
_MISSING = {"needs-fault", "needs-store"}


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
def test_every_query_of_every_panel_has_data(
    dashboard: dict[str, object], grafana: Grafana, stack: Stack, results: Results
) -> None:
    panels = shown(dashboard)
    reasons = {panel.title: _reason(panel, stack) for panel in panels}
    empty: dict[str, list[str]] = {}

    def absent(query: str) -> bool:
        return stack.vllm is None and _of_vllm(query)

    def all_answered() -> bool:
        empty.clear()
        for panel in panels:
            asked = [query for query in _unanswered(panel, grafana) if reasons[panel.title] or not absent(query)]
            if asked:
                empty[panel.title] = asked
        return all(reasons[title] for title in empty)

    with contextlib.suppress(AssertionError):  # said better below
        until(all_answered, 60, "data in every panel", pause=2)
    assert {panel: queries for panel, queries in empty.items() if not reasons[panel]} == {}
    title = str(dashboard["title"])
    counts = results.panels.setdefault(title, Counter())
    for panel in panels:
        counts[reasons[panel.title] if panel.title in empty else "with data"] += bool(panel.queries)
    results.exempt[title] = [f"{panel}: {reasons[panel]}" for panel in empty]


def _unanswered(panel: Shown, grafana: Grafana) -> list[str]:
    """The queries without data; a query that fails ends the test."""
    if not panel.queries:
        return []
    answers = grafana.query(list(panel.queries), _SECONDS)
    assert not {key: answer["error"] for key, answer in answers.items() if "error" in answer}, panel.title
    return [query["expr"] for query in panel.queries if not has_data(answers[query["refId"]])]


def _of_vllm(query: str) -> bool:
    return 'job="vllm' in query


def _reason(panel: Shown, stack: Stack) -> str:
    """Why a panel may be empty; nothing where it may not."""
    if (tag := needs(panel.dashboard, panel.title)) in _MISSING:
        return tag
    if stack.vllm is None and all(_of_vllm(query["expr"]) for query in panel.queries):
        return "needs vLLM, which is not installed here"
    return ""
