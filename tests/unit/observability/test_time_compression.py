import pytest
from tests.support.time_compression import (
    compress_alert,
    compress_expression,
    compressed_evaluation_interval,
    compressed_recording_rules,
)

from observability.alerts import all_alerts


@pytest.mark.parametrize(
    ("expression", "compressed"),
    [
        ("rate(m{}[1h])", "rate(m{}[36000ms])"),
        ("max_over_time(m{}[6h:5m])", "max_over_time(m{}[216000ms:3000ms])"),
        ("rate(m{}[1m])", "rate(m{}[2500ms])"),  # never shorter than a few scrapes
        ("last_over_time(m{}[1h] offset 15s)", "last_over_time(m{}[36000ms] offset 150ms)"),
        ("m{} > 10", "m{} > 10"),
    ],
)
def test_windows_are_divided_and_limits_stay(expression: str, compressed: str) -> None:
    assert compress_expression(expression, 100) == compressed


def test_an_alert_keeps_everything_but_its_durations() -> None:
    for alert in all_alerts():
        compressed = compress_alert(alert, 100)
        assert (compressed.name, compressed.limit, compressed.below) == (alert.name, alert.limit, alert.below)
        assert compressed.for_.endswith("ms")
    immediate = next(alert for alert in all_alerts() if alert.for_ == "0s")
    assert compress_alert(immediate, 100).for_ == "0ms"


def test_recording_rules_are_evaluated_as_often_as_their_windows_expect() -> None:
    group = next(group for group in compressed_recording_rules(100)["groups"] if group["name"] == "glasshouse-slo")
    assert group["interval"] == compressed_evaluation_interval(100) == "150ms"
    assert all("[5m]" not in rule["expr"] for rule in group["rules"])
