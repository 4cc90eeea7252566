"""Each dashboard as people see it: no panel with an error, none without data, nothing wider than the screen."""

import pytest
from tests.grafana.parts.browser import Browser
from tests.grafana.parts.page import Results
from tests.grafana.parts.panels import dashboards, needs, shown
from tests.grafana.parts.pictures import PICTURES, WIDTHS, Page
from tests.grafana.parts.server import Grafana

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(300)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
def test_every_panel_is_drawn(
    dashboard: dict[str, str], width: int, grafana: Grafana, browser: Browser, results: Results
) -> None:
    panels = [panel for panel in shown(dashboard) if not panel.folded]
    address = f"{grafana.url}/d/{dashboard['uid']}?kiosk&from=now-10m&to=now&refresh=1d"
    page = Page(browser, address, width, [panel.title for panel in panels])
    assert page.errors == []
    exempt = {panel.title for panel in panels if needs(panel.dashboard, panel.title)}
    assert set(page.empty) <= exempt
    assert page.overflow <= 0
    file = page.keep(dashboard["uid"])
    assert file.stat().st_size < 1_000_000
    results.pictures[str(file.relative_to(PICTURES.parent))] = f"{dashboard['title']}, {width} pixels wide"
