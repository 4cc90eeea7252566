"""A dashboard rendered in a browser: checked in its DOM and saved as a screenshot."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.grafana.browser import Browser
from tests.support.program import ROOT, until

SCREENSHOTS = ROOT / "docs" / "pictures"
WIDTHS = (1440, 390)
# Tall enough for a whole dashboard: Grafana renders only what is visible.
_MAX_HEIGHT = 14_000
_RENDER_TIMEOUT_S = 90.0

# The state of the page. Grafana's error and loading marks differ between versions: all are searched.
_PAGE_STATE = """
(() => {
  if (!document.body) return { text: '', waiting: 1, errors: [], empty: [], bottom: 0, wide: 0 };
  const marks = [
    '.panel-info-corner--error', '[aria-label="Panel header error"]', '[data-testid*="Panel status error"]',
    '[aria-label="Panel status error"]', '[data-testid="data-testid Alert error"]', '[aria-label="Alert error"]',
  ];
  const waiting = ['.panel-loading', '[aria-label="Panel loading bar"]', '[aria-label="Loading indicator"]'];
  const panels = [...document.querySelectorAll('.react-grid-item')];
  const title = (panel) => panel.innerText.trim().split('\\n')[0];
  const around = (element) => { const panel = element.closest('.react-grid-item'); return panel ? title(panel) : ''; };
  const found = (names) => [...document.querySelectorAll(names.join(','))];
  const says = (panel) => panel.innerText.split('\\n').some((line) => line.trim() === 'No data');
  return {
    text: document.body.innerText,
    waiting: found(waiting).length,
    errors: found(marks).map((element) => around(element) || element.innerText),
    empty: panels.filter(says).map(title),
    bottom: Math.max(0, ...panels.map((panel) => panel.getBoundingClientRect().bottom)),
    wide: document.documentElement.scrollWidth,
  };
})()
"""


class RenderedDashboard:
    """A dashboard that is open in the browser and completely rendered."""

    def __init__(self, browser: Browser, url: str, width: int, titles: list[str]) -> None:
        self._browser, self._width = browser, width
        browser.window(width, _MAX_HEIGHT)
        browser.open(url)
        self._state: Any = {}
        try:
            until(lambda: self._is_rendered(titles), _RENDER_TIMEOUT_S, f"{url} is rendered", pause=0.5)
        except AssertionError as late:
            late.add_note(f"missing panels: {self.missing(titles)}; the page: {self._state['text'][-800:]}")
            raise
        self.errors: list[str] = self._state["errors"]
        self.empty: list[str] = self._state["empty"]
        self.overflow = int(self._state["wide"]) - width

    def missing(self, titles: list[str]) -> list[str]:
        """The panels whose title is not on the page."""
        text = self._state.get("text", "")
        return [title for title in titles if title not in text]

    def _is_rendered(self, titles: list[str]) -> bool:
        """Whether all panels are there, and nothing has changed since the last check."""
        previous, self._state = self._state, self._browser.evaluate(_PAGE_STATE)
        unchanged = previous.get("text") == self._state["text"] and previous.get("bottom") == self._state["bottom"]
        return unchanged and not self._state["waiting"] and not self.missing(titles) and self._state["bottom"] > 0

    def save(self, name: str) -> Path:
        """Writes a full-page screenshot to docs/pictures/NAME-WIDTH.png, compressed where pngquant is installed."""
        self._browser.window(self._width, int(self._state["bottom"]) + 8)
        until(lambda: self._is_rendered([]), _RENDER_TIMEOUT_S, f"{name} is rendered again", pause=0.5)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        file = SCREENSHOTS / f"{name}-{self._width}.png"
        file.write_bytes(self._browser.screenshot())
        if program := shutil.which("pngquant"):
            subprocess.run([program, "--force", "--ext", ".png", "--skip-if-larger", "64", str(file)], check=False)
        return file
