"""What one run has seen, as lines for the log and as docs/grafana-results.md: no figure there is typed by hand."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.program import ROOT

RESULTS = ROOT / "docs" / "grafana-results.md"


@dataclass(frozen=True)
class Told:
    """A fault and what became of it, in seconds: since the fault began, or since it was over."""

    fault: str
    alert: str
    firing: float
    delivered: float
    resolved: float


@dataclass
class Results:
    """What was seen.

    Attributes:
        version: Grafana's.
        programs: versions of the others.
        panels: for each dashboard, how many panels had data, by the reason why the others had none.
        rules: how many alert rules, by their state on the healthy stack.
        told: the faults.
        pictures: files, and the dashboard's title.
        scale: by how much the alerts' windows were shortened for the faults.
    """

    version: str = ""
    programs: dict[str, str] = field(default_factory=dict)
    panels: dict[str, Counter[str]] = field(default_factory=dict)
    exempt: dict[str, list[str]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    told: list[Told] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    scale: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether every part of the tests has run: half a run is no result."""
        return bool(self.panels and self.rules and self.told and self.pictures)

    def lines(self) -> list[str]:
        """The run in a few lines."""
        panels: Counter[str] = sum(self.panels.values(), Counter())
        told = [
            f"{one.fault} → {one.alert}: firing {one.firing:.0f} s, delivered {one.delivered:.0f} s, "
            f"resolved {one.resolved:.0f} s"
            for one in self.told
        ]
        return [
            f"panels: {_counted(panels)}; rules on the healthy stack: {_counted(self.rules)}",
            f"faults that were told and resolved: {len(self.told)}; pictures: {len(self.pictures)}",
            *told,
        ]


def write(results: Results) -> Path:
    """Writes the page; returns its path within the repository."""
    RESULTS.write_text("\n".join(_page(results)) + "\n", encoding="utf-8")
    return RESULTS.relative_to(ROOT)


def _page(results: Results) -> list[str]:
    today = dt.datetime.now(tz=dt.UTC).date()
    programs = ", ".join(f"{name} {version}" for name, version in results.programs.items())
    return [
        "# The shipped files in a real Grafana",
        "",
        "Written by `make test-grafana GRAFANA_HOME=…` at the end of a run in which every test passed.",
        "",
        f"{today}, Grafana {results.version}; {programs}.",
        "The stack ran as programs of one machine, with the demo model, a stub of NVML in place of a GPU, and clients",
        "that ask all the time. Grafana read `grafana/` as it is shipped, of the contact points `ALERTS_TO=webhook`'s.",
        "",
        "## Panels",
        "",
        "How many panels had data in every answer of Grafana's query API, all variables as when nothing is chosen.",
        "",
        *_table(
            ("dashboard", "panels", "with data", "without, and why"),
            [
                (name, sum(counts.values()), counts["with data"], "; ".join(results.exempt.get(name, [])) or "none")
                for name, counts in results.panels.items()
            ],
        ),
        "",
        "## Alerts",
        "",
        f"Loaded and evaluated without an error, on the healthy stack: {_counted(results.rules)}.",
        "",
        f"Then a copy from the same source with every window and duration {results.scale:g} times as short, evaluated",
        "every 10 s. Seconds from the fault's beginning until the rule fired in Grafana, and until the webhook was",
        "told; and from its end until the webhook was told that it is over:",
        "",
        *_table(
            ("fault", "alert", "firing", "delivered", "resolved"),
            [
                (one.fault, one.alert, *(f"{s:.0f} s" for s in (one.firing, one.delivered, one.resolved)))
                for one in results.told
            ],
        ),
        "",
        "## Pictures",
        "",
        'Each page without an error mark, and without a panel that says "No data" unless it stands above.',
        "",
        *(f"- [{title}]({file})" for file, title in results.pictures.items()),
    ]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
