"""Every panel's queries, sent through Grafana, return data on a stack under load."""

import contextlib
import re
from collections import Counter

import pytest
from tests.support.grafana.panels import PanelQueries, dashboards, has_data, needs, panel_queries
from tests.support.grafana.results import Results
from tests.support.grafana.server import Grafana
from tests.support.grafana.stack import Stack
from tests.support.program import until

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(300)]

_SECONDS = 120
# Conditions that these tests do not create; they do have a (simulated) GPU.
_NOT_PROVIDED = {"needs-fault", "needs-store", "needs-lora", "needs-mig", "needs-canary"}


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
def test_every_query_of_every_panel_has_data(
    dashboard: dict[str, object], grafana: Grafana, stack: Stack, results: Results
) -> None:
    panels = panel_queries(dashboard)
    reasons = {panel.title: _reason(panel, stack) for panel in panels}
    empty: dict[str, list[str]] = {}

    def not_installed(query: str) -> bool:
        return stack.vllm is None and _of_vllm(query)

    def all_answered() -> bool:
        empty.clear()
        for panel in panels:
            unanswered = [
                query
                for query in _unanswered(panel, grafana)
                if reasons[panel.title] or not (not_installed(query) or _of_another_day(query))
            ]
            if unanswered:
                empty[panel.title] = unanswered
        return all(reasons[title] for title in empty)

    with contextlib.suppress(AssertionError):  # the assertion below reports it better
        # What is recorded each minute needs two of them.
        until(all_answered, 180, "data in every panel", pause=2)
    assert {panel: queries for panel, queries in empty.items() if not reasons[panel]} == {}
    title = str(dashboard["title"])
    counts = results.panels.setdefault(title, Counter())
    for panel in panels:
        counts[reasons[panel.title] if panel.title in empty else "with data"] += bool(panel.queries)
    results.exempt[title] = [f"{panel}: {reasons[panel]}" for panel in empty]


def _unanswered(panel: PanelQueries, grafana: Grafana) -> list[str]:
    """The queries without data; a query that fails fails the test."""
    if not panel.queries:
        return []
    answers = grafana.query(list(panel.queries), _SECONDS)
    assert not {key: answer["error"] for key, answer in answers.items() if "error" in answer}, panel.title
    return [query["expr"] for query in panel.queries if not has_data(answers[query["refId"]])]


def _of_vllm(query: str) -> bool:
    return 'job="vllm' in query


def _of_another_day(query: str) -> bool:
    return bool(re.search(r" offset \d+d", query))


def _reason(panel: PanelQueries, stack: Stack) -> str:
    """Why a panel may be empty, or an empty string."""
    if (tag := needs(panel.dashboard, panel.title)) in _NOT_PROVIDED:
        return tag
    if stack.vllm is None and all(_of_vllm(query["expr"]) for query in panel.queries):
        return "needs vLLM, which is not installed here"
    return ""
