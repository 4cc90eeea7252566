"""The results of one run, as lines for the terminal and as docs/grafana-results.md, whose figures come from here."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.program import ROOT

RESULTS = ROOT / "docs" / "grafana-results.md"


@dataclass(frozen=True)
class FaultOutcome:
    """A fault and its alert, in seconds: firing and delivered since its start, resolved since its end."""

    fault: str
    alert: str
    firing: float
    delivered: float
    resolved: float


@dataclass
class Results:
    """The results.

    Attributes:
        version: of Grafana.
        programs: versions of the other programs.
        panels: for each dashboard, the number of panels with data, and of those without by reason.
        rules: the number of alert rules by state on the healthy stack.
        faults: the injected faults.
        screenshots: files, and the dashboard's title.
        scale: the divisor of the alerts' windows during the faults.
    """

    version: str = ""
    programs: dict[str, str] = field(default_factory=dict)
    panels: dict[str, Counter[str]] = field(default_factory=dict)
    exempt: dict[str, list[str]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    faults: list[FaultOutcome] = field(default_factory=list)
    screenshots: dict[str, str] = field(default_factory=dict)
    scale: float = 1.0

    @property
    def complete(self) -> bool:
        """Whether all tests have run: part of a run is no result."""
        return bool(self.panels and self.rules and self.faults and self.screenshots)

    def lines(self) -> list[str]:
        """The run in a few lines."""
        panels: Counter[str] = sum(self.panels.values(), Counter())
        faults = [
            f"{outcome.fault} → {outcome.alert}: firing {outcome.firing:.0f} s, delivered {outcome.delivered:.0f} s, "
            f"resolved {outcome.resolved:.0f} s"
            for outcome in self.faults
        ]
        return [
            f"panels: {_counted(panels)}; rules on the healthy stack: {_counted(self.rules)}",
            f"faults delivered and resolved: {len(self.faults)}; screenshots: {len(self.screenshots)}",
            *faults,
        ]


def write(results: Results) -> Path:
    """Writes the page; returns its path within the repository."""
    RESULTS.write_text("\n".join(_markdown(results)) + "\n", encoding="utf-8")
    return RESULTS.relative_to(ROOT)


def _markdown(results: Results) -> list[str]:
    today = dt.datetime.now(tz=dt.UTC).date()
    programs = ", ".join(f"{name} {version}" for name, version in results.programs.items())
    return [
        "# The shipped files in a real Grafana",
        "",
        "Written by `make test-grafana GRAFANA_HOME=…` at the end of a run in which every test passed.",
        "",
        f"{today}, Grafana {results.version}; {programs}.",
        "The stack ran as processes on one machine, with the demo model, a stub of NVML instead of a GPU, and constant",
        "load. Grafana read `grafana/` as shipped, with the contact point of `ALERTS_TO=webhook`.",
        "",
        "## Panels",
        "",
        "Panels whose queries all returned data through Grafana's query API, with all variables at their defaults.",
        "",
        *_table(
            ("dashboard", "panels", "with data", "without data, and why"),
            [
                (name, sum(counts.values()), counts["with data"], "; ".join(results.exempt.get(name, [])) or "none")
                for name, counts in results.panels.items()
            ],
        ),
        "",
        "## Alerts",
        "",
        f"Evaluated without an error on the healthy stack: {_counted(results.rules)}.",
        "",
        f"Then the same rules with every window and duration divided by {results.scale:g}, evaluated every 10 s:",
        "seconds from the start of the fault until the rule fired in Grafana and until the webhook was notified,",
        "and from the end of the fault until the webhook was notified that it is resolved.",
        "",
        *_table(
            ("fault", "alert", "firing", "delivered", "resolved"),
            [
                (
                    outcome.fault,
                    outcome.alert,
                    *(f"{s:.0f} s" for s in (outcome.firing, outcome.delivered, outcome.resolved)),
                )
                for outcome in results.faults
            ],
        ),
        "",
        "## Screenshots",
        "",
        'Each without an error mark, and without a panel that says "No data" except those listed above.',
        "",
        *(f"- [{title}]({file})" for file, title in results.screenshots.items()),
    ]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
