"""An alert, apart from the two forms in which it is written: Grafana's, which runs, and Prometheus', for tests."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["page", "ticket"]

VALUE = "VALUE"  # stands in `summary` for the number that was measured


@dataclass(frozen=True, slots=True)
class Alert:
    """When somebody is told.

    Attributes:
        name: CamelCase, unique: the heading in docs/runbook.md.
        expr: in PromQL; each series of the answer is judged by itself.
        limit: fires while the value is greater than this, or smaller with `below`.
        lasting: for so long, e.g. "5m".
        severity: page: somebody gets up; ticket: somebody looks tomorrow.
        summary: one line; `{{ $labels.x }}` is filled in by both readers, and VALUE is the number.
        meaning: what it means for the clients, and what it does not.
        dashboard: the title of the page to look at.
        panel: the title of the panel there; what writes the files looks both up.
        value_format: a template function, of those that both readers have.
        fires_when_blind: also when the query itself fails, i.e. when Prometheus is gone.
    """

    name: str
    expr: str
    limit: float
    lasting: str
    severity: Severity
    summary: str
    meaning: str
    dashboard: str
    panel: str
    below: bool = False
    value_format: Literal["", "humanizePercentage", "humanizeDuration", "humanize"] = ""
    fires_when_blind: bool = False

    @property
    def runbook(self) -> str:
        """The heading of docs/runbook.md that tells what to do."""
        return f"docs/runbook.md#{self.name.lower()}"
