"""The same alerts and recordings with every duration divided: for tests that inject a fault and cannot wait an hour.

What is divided: windows, subqueries, how long an alert must hold, and how often rules are looked at. Limits
stay as they are, so that what is tried is what runs. Windows are never below LEAST_SECONDS: too few scrapes make no
rate.
"""

import re
from dataclasses import replace
from typing import Any

from observability import recording, settings
from observability.alerts.alert import Alert

LEAST_SECONDS = 2.5
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = r"\d+[smhd]"
_PLACES = re.compile(rf"(?<=\[){_DURATION}(?::{_DURATION})?(?=\])")


def alert(one: Alert, divisor: int) -> Alert:
    """An alert that looks at shorter times."""
    return replace(one, expr=expression(one.expr, divisor), lasting=_shorter(one.lasting, divisor, 0))


def expression(expr: str, divisor: int) -> str:
    """PromQL that looks at shorter times."""
    return _PLACES.sub(
        lambda place: ":".join(_shorter(part, divisor, LEAST_SECONDS) for part in place[0].split(":")), expr
    )


def recordings(divisor: int) -> dict[str, Any]:
    """Prometheus' recording rules, that look at shorter times."""
    rules: dict[str, Any] = recording.rules(evaluation_interval(divisor))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = expression(rule["expr"], divisor)
    return rules


def evaluation_interval(divisor: int) -> str:
    """How often rules are to be evaluated then; counts of requests are summed up by it (see `queries.slo`)."""
    return _shorter(f"{settings.EVALUATION_INTERVAL_SECONDS}s", divisor, 0)


def _shorter(duration: str, divisor: int, least: float) -> str:
    seconds = int(duration[:-1]) * _SECONDS[duration[-1]]
    return f"{round(max(seconds / divisor, least if seconds else 0) * 1000)}ms"
