"""A dashboard as a reader sees it: opened in the browser, judged by its page, and kept as a picture."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.grafana.browser import Browser
from tests.support.program import ROOT, until

PICTURES = ROOT / "docs" / "pictures"
WIDTHS = (1440, 390)
# Tall enough for a whole page: Grafana draws only what can be seen.
_TALLEST = 14_000
_DRAWN_S = 90.0

# What the page says of itself. Grafana's own marks are named differently in each version: all are looked for.
_LOOK = """
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


class Page:
    """An opened dashboard, completely drawn."""

    def __init__(self, browser: Browser, url: str, width: int, titles: list[str]) -> None:
        self._browser, self._width = browser, width
        browser.window(width, _TALLEST)
        browser.open(url)
        self._seen: Any = {}
        try:
            until(lambda: self._drawn(titles), _DRAWN_S, f"{url} is drawn", pause=0.5)
        except AssertionError as late:
            late.add_note(f"panels that are missing: {self.missing(titles)}; the page: {self._seen['text'][-800:]}")
            raise
        self.errors: list[str] = self._seen["errors"]
        self.empty: list[str] = self._seen["empty"]
        self.overflow = int(self._seen["wide"]) - width

    def missing(self, titles: list[str]) -> list[str]:
        """The panels whose title is not on the page."""
        text = self._seen.get("text", "")
        return [title for title in titles if title not in text]

    def _drawn(self, titles: list[str]) -> bool:
        """Whether all is there, and nothing has changed since the last look."""
        before, self._seen = self._seen, self._browser.evaluate(_LOOK)
        steady = before.get("text") == self._seen["text"] and before.get("bottom") == self._seen["bottom"]
        return steady and not self._seen["waiting"] and not self.missing(titles) and self._seen["bottom"] > 0

    def keep(self, name: str) -> Path:
        """Writes the whole page as docs/pictures/NAME-WIDTH.png, with fewer colours where pngquant is installed."""
        self._browser.window(self._width, int(self._seen["bottom"]) + 8)
        until(lambda: self._drawn([]), _DRAWN_S, f"{name} is drawn again", pause=0.5)
        PICTURES.mkdir(parents=True, exist_ok=True)
        file = PICTURES / f"{name}-{self._width}.png"
        file.write_bytes(self._browser.picture())
        if program := shutil.which("pngquant"):
            subprocess.run([program, "--force", "--ext", ".png", "--skip-if-larger", "64", str(file)], check=False)
        return file
