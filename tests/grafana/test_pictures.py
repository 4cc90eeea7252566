"""Each dashboard as people see it: no panel with an error, none without data, nothing wider than the screen."""

import pytest
from tests.support.grafana.browser import Browser
from tests.support.grafana.page import Results
from tests.support.grafana.panels import dashboards, needs, shown
from tests.support.grafana.pictures import PICTURES, WIDTHS, Page
from tests.support.grafana.server import Grafana
from tests.support.grafana.stack import Stack
from tests.support.program import until

# So long the clients have asked before the first picture: a graph shows a curve then, and quantiles have settled.
_LOADED_S = 240
pytestmark = [pytest.mark.grafana, pytest.mark.timeout(600)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
def test_every_panel_is_drawn(
    dashboard: dict[str, str], width: int, grafana: Grafana, stack: Stack, browser: Browser, results: Results
) -> None:
    until(lambda: stack.load.seconds > _LOADED_S, _LOADED_S + 60, "the clients have asked for long enough", pause=1)
    panels = [panel for panel in shown(dashboard) if not panel.folded]
    address = f"{grafana.url}/d/{dashboard['uid']}?kiosk&from=now-5m&to=now&refresh=1d"
    page = Page(browser, address, width, [panel.title for panel in panels])
    assert page.errors == []
    exempt = {panel.title for panel in panels if needs(panel.dashboard, panel.title)}
    assert set(page.empty) <= exempt
    assert page.overflow <= 0
    file = page.keep(dashboard["uid"])
    assert file.stat().st_size < 1_000_000
    results.pictures[str(file.relative_to(PICTURES.parent))] = f"{dashboard['title']}, {width} pixels wide"
