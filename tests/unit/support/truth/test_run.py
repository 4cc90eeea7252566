"""No number is left out without a reason, and nothing is compared that is not shown."""

from tests.support.truth import reasons, run


def test_every_query_of_every_panel_is_compared_or_has_a_reason_not_to_be() -> None:
    assert {panel for panel, reason in run.left_out().items() if not reason} == set()


def test_what_is_compared_is_shown() -> None:
    shown = {
        (panel.dashboard, panel.title, run.name(panel, query)) for panel in run.panels() for query in panel.queries
    }
    wanted = {(uid, *key) for uid, table in run.COMPARED.items() for key in table}
    assert wanted - shown == set()


def test_a_reason_belongs_to_a_panel_that_is_left_out() -> None:
    left_out = {panel.title for panel in run.panels() if not all(run.compared(panel, query) for query in panel.queries)}
    assert set(reasons.BY_TITLE) - left_out == set()
    assert set(reasons.BY_DASHBOARD) <= {panel.dashboard for panel in run.panels()}
