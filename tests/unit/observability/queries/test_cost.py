"""Dollars, tokens and requests over a range, to the step, from the series that Prometheus records."""

import re
import shutil
from pathlib import Path

import pytest
from tests.support.promtool import Values, counter, evaluate, every

from observability.dashboards.cost.dashboard import dashboard
from observability.promql import TOO_LITTLE, Scope, or_too_little
from observability.queries import cost, keys
from observability.recording import cost as recording

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)

_SECONDS = 3600
_HOUR = Scope("1h", {"vm": ".*"})
_TARGET = 'job="gateway", instance="api:9091", vm="local"'


def _born(at: int, value: float) -> list[float | None]:
    """A counter whose series begins with its first events."""
    return [None if moment < at else value for moment in range(0, _SECONDS + 1, 5)]


def _of(model: str) -> Scope:
    return Scope("1h", {"vm": ".*", "model": model})


@needs_promtool
def test_costs_of_a_range(tmp_path: Path) -> None:
    series: dict[str, Values] = {
        f"up{{{_TARGET}}}": [1.0] * (_SECONDS // 5 + 1),
        f'gateway_cost_usd_total{{{_TARGET}, engine="e", part="idle"}}': counter(_SECONDS, *every(60, 3000, 0.0024)),
        f'gateway_cost_usd_total{{{_TARGET}, engine="e", part="requests"}}': counter(
            _SECONDS, (600, 0.05), (900, 0.01)
        ),
        f'gateway_model_cost_usd_total{{{_TARGET}, model="a"}}': counter(_SECONDS, (600, 0.05)),
        f'gateway_model_cost_usd_total{{{_TARGET}, model="b"}}': _born(900, 0.01),
        f'gateway_output_equivalent_tokens_total{{{_TARGET}, model="a"}}': counter(_SECONDS, (600, 100_000)),
        f'gateway_output_equivalent_tokens_total{{{_TARGET}, model="b"}}': _born(900, 200),
    }
    few = or_too_little(cost.cost_per_million_tokens(_of("b")), cost.tokens_of_models(_of("b")))
    none = or_too_little(cost.cost_per_million_tokens(_of("c")), cost.tokens_of_models(_of("c")))
    expected: dict[str, dict[str, float]] = {
        cost.spent(_HOUR): {"{}": 0.18},
        cost.share_of_part(_HOUR, "idle"): {"{}": 0.12 / 0.18},
        cost.spent_by_models(_HOUR, "model"): {'{model="a"}': 0.05, '{model="b"}': 0.01},
        # Idle time is shared out by what requests cost, so that it follows the model too.
        cost.cost_per_million_tokens(_of("a")): {"{}": 0.5},
        cost.total_cost_per_million_tokens(_of("a")): {"{}": 1.5},
        cost.total_cost_per_million_tokens(_of(".*")): {"{}": 0.18 / 100_200 * 1e6},
        # 200 tokens have no price of a million.
        f"{few} + 0": {"{}": TOO_LITTLE},
        none: {},
    }
    evaluate(tmp_path, series, expected, at=_SECONDS, group=recording.group())


@needs_promtool
def test_a_new_keys_first_burst_is_counted(tmp_path: Path) -> None:
    series: dict[str, Values] = {
        f"up{{{_TARGET}}}": [1.0] * (_SECONDS // 5 + 1),
        f'gateway_key_requests_total{{{_TARGET}, key="new", outcome="ok"}}': _born(1200, 10),
        f'gateway_key_requests_total{{{_TARGET}, key="old", outcome="ok"}}': counter(_SECONDS, (0, 500), (1200, 3)),
        f'gateway_key_requests_total{{{_TARGET}, key="old", outcome="timeout"}}': counter(_SECONDS, (1500, 1)),
        f'gateway_key_requests_total{{{_TARGET}, key="old", outcome="client_error"}}': counter(_SECONDS, (1500, 40)),
        f'gateway_key_tokens_total{{{_TARGET}, key="new", type="output"}}': _born(1200, 280),
        f'gateway_key_request_duration_seconds_sum{{{_TARGET}, key="new"}}': _born(1200, 25),
        f'gateway_key_request_duration_seconds_count{{{_TARGET}, key="new"}}': _born(1200, 10),
    }
    expected: dict[str, dict[str, float]] = {
        keys.finished(_HOUR, "key"): {'{key="new"}': 10, '{key="old"}': 44},
        keys.failed_share(_HOUR, "key"): {'{key="new"}': 0, '{key="old"}': 0.25},
        keys.failed_share(_HOUR): {"{}": 1 / 14},
        keys.tokens(_HOUR, "output", "key"): {'{key="new"}': 280},
        keys.mean_duration(_HOUR, "key"): {'{key="new"}': 2.5},
    }
    evaluate(tmp_path, series, expected, at=_SECONDS, group=recording.group())


def test_no_expression_mixes_counts_that_follow_different_variables() -> None:
    """The dollars of selected engines, divided by the tokens of selected models, would be a price of nothing."""
    for panel in dashboard().panels:
        for query in panel.queries:
            followed = set(re.findall(r'=~"\$(model|engine|key)"', query.expr))
            assert len(followed) <= 1, f"{panel.title}: {query.legend} follows {followed}"
            named = panel.blind_spot.lower()
            assert all(name in named for name in followed), f"{panel.title} does not say that it follows {followed}"


def test_the_names_of_recorded_series_say_their_step() -> None:
    assert recording.group().interval_seconds == 60
    assert all(name.endswith(":increase1m") for name in recording.group().series)
