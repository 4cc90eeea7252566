from observability import dashboards, panel_reference
from observability.dashboard import Dashboard, Row
from observability.panel import Query, graph


def test_a_panel_is_a_table_row_that_no_text_can_break() -> None:
    panel = graph("A|B", "Is it up?", "the rest.", "short", 24, (Query('m{job="j"}', "l"),))
    text = panel_reference.markdown([Dashboard("u", "Title", "What for.", (Row("", 8, (panel,)),))])
    assert "## Title\n\nWhat for.\n" in text
    assert "| A¦B | Is it up? | `m` | the rest. |" in text


def test_every_panel_is_listed() -> None:
    text = panel_reference.markdown(dashboards.all_dashboards())
    for dashboard in dashboards.all_dashboards():
        for panel in dashboard.panels:
            assert f"| {panel.title} | {panel.question} |" in text
