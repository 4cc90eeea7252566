"""Alerts and recording rules with every duration divided: for tests that inject a fault and cannot wait an hour.

Divided are windows, subqueries, offsets, how long an alert must hold, and evaluation intervals. Limits stay as they
are, so that tests exercise what runs. Windows are never shorter than MIN_SECONDS: too few scrapes make no rate.
"""

import re
from dataclasses import replace

from observability import recording, settings
from observability.alerts.alert import Alert

MIN_SECONDS = 2.5
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = r"\d+[smhd]"
_OFFSET = re.compile(rf"(?<=offset ){_DURATION}")
_WINDOW = re.compile(rf"(?<=\[){_DURATION}(?::{_DURATION})?(?=\])")


def compress_alert(alert: Alert, divisor: int) -> Alert:
    """The alert with shorter windows and a shorter `for`."""
    return replace(alert, expr=compress_expression(alert.expr, divisor), for_=_divided(alert.for_, divisor, 0))


def compress_expression(expr: str, divisor: int) -> str:
    """The expression with shorter windows."""
    shorter = _WINDOW.sub(
        lambda window: ":".join(_divided(duration, divisor, MIN_SECONDS) for duration in window[0].split(":")), expr
    )
    # An offset is an evaluation interval, which has no minimum either.
    return _OFFSET.sub(lambda offset: _divided(offset[0], divisor, 0), shorter)


def compressed_recording_rules(divisor: int) -> recording.Rules:
    """Prometheus' recording rules with shorter windows."""
    rules = recording.rules()
    for group in rules["groups"]:
        group["interval"] = _divided(group["interval"], divisor, 0)
        for rule in group["rules"]:
            rule["expr"] = compress_expression(rule["expr"], divisor)
    return rules


def compressed_evaluation_interval(divisor: int) -> str:
    """The matching evaluation interval, by which the service levels sum up requests (see `queries.slo`)."""
    return _divided(f"{settings.EVALUATION_INTERVAL_SECONDS}s", divisor, 0)


def _divided(duration: str, divisor: int, minimum: float) -> str:
    seconds = int(duration[:-1]) * _SECONDS[duration[-1]]
    return f"{round(max(seconds / divisor, minimum if seconds else 0) * 1000)}ms"
