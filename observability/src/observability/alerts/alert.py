"""An alert, independent of the formats it is written in: Grafana's, which runs, and Prometheus', for tests."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["page", "ticket"]

VALUE = "VALUE"  # placeholder in `summary` for the measured number
ON_VM = "on VM {{ $labels.vm }}"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert rule.

    Attributes:
        name: CamelCase, unique; its heading in docs/runbook.md.
        expr: PromQL; each resulting series is evaluated on its own.
        limit: fires while the value is greater than this, or smaller with `below`.
        for_: how long the condition must hold, e.g. "5m".
        severity: page: act now; ticket: act within a working day.
        summary: one line; both formats fill in `{{ $labels.x }}`, and VALUE stands for the number.
        resolved: the same line once it is over; it has no number, since nothing is measured any more.
        description: what is wrong, the effect on clients, and the first check.
        dashboard: title of the dashboard to look at.
        panel: title of the panel there; both are resolved when the rule file is written.
        value_format: a template function that both formats have.
        fires_on_error: also fires when the query itself fails, i.e. when Prometheus is unreachable.
    """

    name: str
    expr: str
    limit: float
    for_: str
    severity: Severity
    summary: str
    resolved: str
    description: str
    dashboard: str
    panel: str
    below: bool = False
    value_format: Literal["", "humanizePercentage", "humanizeDuration", "humanize"] = ""
    fires_on_error: bool = False

    @property
    def anchor(self) -> str:
        """Its section in the runbook."""
        return self.name.lower()
