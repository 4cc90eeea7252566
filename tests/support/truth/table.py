"""The table of panels, as docs/grafana-truth.md."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from tests.support.program import ROOT
from tests.support.truth import traffic
from tests.support.truth.comparison import Row

PAGE = ROOT / "docs" / "grafana-truth.md"
_HEADING = """# What panels show, and what is true

Written by `make test-grafana GRAFANA_HOME=…` at the end of a run in which every test passed.

{date}, Grafana {version}. {requests:,} requests of seven days, known to the token, were counted by the gateway's own
recorder and written as history (`promtool tsdb create-blocks-from openmetrics`: a sample a minute, in the last six
hours one in five seconds); what the shipped rules record of it is from `promtool tsdb create-blocks-from rules`. Each
query of a panel went through Grafana's query API as a browser 1440 pixels wide sends it. The truth is computed from the
requests, never by PromQL. Among them: a key whose first burst comes in the second in which it is added, a queue of
three minutes, engines that are away for six and for two minutes, two restarts of the gateway, idle nights.

Of {numbers:,} numbers none lies beyond its resolution.

A tile or a column of a table shows its largest number, a graph of rates the sum over the range, another graph its
highest point; every point was compared. Resolutions:

- **exact, to the step**: equal to the truth of the range, which may begin and end up to 70 s earlier: recorded steps
  last a minute
- **two scrapes**: `rate()` extrapolates from the samples in its window to its ends
- **the bucket**: the true quantile lies in the same bucket. Objectives are bounds of buckets, so a colour is right
- **the scrape**: equal to the extreme of what the scrapes saw

"""
_HEAD = ("panel / query", "shown", "truth", "difference", "resolution", "numbers compared")


def write(rows: Sequence[Row], version: str, left_out: dict[str, str]) -> Path:
    """Writes the page; returns its path within the repository.

    Args:
        rows: of every range.
        version: of Grafana.
        left_out: panels that are not compared, and why.
    """
    PAGE.write_text(_page(rows, version, left_out), encoding="utf-8")
    return PAGE.relative_to(ROOT)


def _page(rows: Sequence[Row], version: str, left_out: dict[str, str]) -> str:
    text = _HEADING.format(
        date=dt.datetime.now(tz=dt.UTC).date(), version=version, requests=len(traffic.requests(days=7)),
        numbers=sum(row.points for row in rows),
    )  # fmt: skip
    lines = [text]
    for name in traffic.RANGES:
        lines += [f"## {name}", "", *_table([row for row in rows if row.range == name]), ""]
    reasons = [f"- {panel}: {reason}" for panel, reason in sorted(left_out.items())]
    return "\n".join([*lines, "## Not compared", "", *reasons, ""])


def _table(rows: Sequence[Row]) -> list[str]:
    cells = [
        (
            row.panel.replace("|", "\\|"), _number(row.shown), _number(row.truth), _number(row.difference),
            row.resolution, str(row.points),
        )
        for row in rows
    ]  # fmt: skip
    return ["| " + " | ".join(line) + " |" for line in (_HEAD, tuple("---" for _ in _HEAD), *cells)]


def _number(value: float | None) -> str:
    if value is None:
        return "no number"
    return "0" if abs(value) < 1e-9 else f"{value:.6g}"
