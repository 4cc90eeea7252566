"""Each dashboard in a browser: no panel with an error, none without data, nothing wider than the screen."""

import pytest
from tests.support.grafana.browser import Browser
from tests.support.grafana.panels import dashboards, needs, panel_queries
from tests.support.grafana.results import Results
from tests.support.grafana.screenshots import SCREENSHOTS, WIDTHS, RenderedDashboard
from tests.support.grafana.server import Grafana
from tests.support.grafana.stack import Stack
from tests.support.program import until

# How long the load runs before the first screenshot: graphs have a curve then, and quantiles have settled.
_MIN_LOAD_S = 240
pytestmark = [pytest.mark.grafana, pytest.mark.timeout(600)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
def test_every_panel_is_rendered(
    dashboard: dict[str, str], width: int, grafana: Grafana, stack: Stack, browser: Browser, results: Results
) -> None:
    until(lambda: stack.load.seconds > _MIN_LOAD_S, _MIN_LOAD_S + 60, "the load has run long enough", pause=1)
    panels = [panel for panel in panel_queries(dashboard) if not panel.collapsed]
    address = f"{grafana.url}/d/{dashboard['uid']}?kiosk&from=now-5m&to=now&refresh=1d"
    rendered = RenderedDashboard(browser, address, width, [panel.title for panel in panels])
    assert rendered.errors == []
    exempt = {panel.title for panel in panels if needs(panel.dashboard, panel.title)}
    assert set(rendered.empty) <= exempt
    assert rendered.overflow <= 0
    file = rendered.save(dashboard["uid"])
    assert file.stat().st_size < 1_000_000
    results.screenshots[str(file.relative_to(SCREENSHOTS.parent))] = f"{dashboard['title']}, {width} pixels wide"
