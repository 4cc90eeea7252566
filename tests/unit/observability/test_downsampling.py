import re
from dataclasses import replace

import pytest

from observability import dashboards, downsampling, recording, variables
from observability.promql import Scope

NAME = "key:a:increase1m"


SCOPE = Scope("6h", {"vm": "$vm"}, interval="$__interval")
MATCHED = 'downsampled_at{}~".* $__interval .*", b="c", vm=~"$vm"'


def test_the_interval_between_two_points_selects_the_steps() -> None:
    short, long = (f"{name}{{{MATCHED.format(sign)}}}[6h]" for name, sign in ((NAME, "!"), ("key:a:increase15m", "=")))
    assert downsampling.count(SCOPE, NAME, 'b="c"', by=("x",), vm="vm") == (
        f"(sum by (x) (sum_over_time({short})) or sum by (x) (sum_over_time({long})))"
    )
    assert downsampling.per_second(SCOPE, NAME, 'b="c"', vm="vm") == (
        f"(sum(avg_over_time({short})) / 60 or sum(avg_over_time({long})) / 900)"
    )


def test_without_a_chosen_model_the_steps_of_all_models_are_read() -> None:
    scope = Scope("6h", {"model": "$model"}, interval="$__interval")
    chosen = 'downsampled_at=~".* $__interval .*"'
    assert downsampling.count(scope, "model:a:increase1m", model="model") == (
        '(sum(sum_over_time(model:a:increase1m{downsampled_at!~".* $__interval .*", model=~"$model"}[6h])) or '
        f'sum(sum_over_time(vm:a:increase15m{{{chosen}, all_models="$model"}}[6h])) or '
        f'sum(sum_over_time(model:a:increase15m{{{chosen}, all_models!="$model", model=~"$model"}}[6h])))'
    )
    by_model = downsampling.count(scope, "model:a:increase1m", by=("model",), model="model")
    assert downsampling.ALL_MODELS not in by_model
    assert (
        variables.variables_json(("model",))[1]["allValue"] == downsampling.labels("model:a:increase1m")["all_models"]
    )


def test_an_extreme_is_that_of_the_extremes_in_the_window() -> None:
    assert downsampling.extreme(replace(SCOPE, filters={}), "a:min15s", "min by (vm)", vm="vm") == (
        '(min by (vm) (min_over_time(a:min15s{downsampled_at!~".* $__interval .*"}[6h])) or '
        'min by (vm) (min_over_time(a:min15m{downsampled_at=~".* $__interval .*"}[6h])))'
    )


def test_short_steps_are_read_where_there_is_no_interval() -> None:
    hour = Scope("1h")
    assert downsampling.count(hour, NAME) == "sum(sum_over_time(key:a:increase1m{}[1h]))"
    assert downsampling.quantile(hour, NAME, 0.95, by=("model",)) == (
        "histogram_quantile(0.95, sum by (le, model) (sum_over_time(key:a:increase1m{}[1h]))) >= 0"
    )


@pytest.mark.parametrize(
    ("interval", "long"),
    [
        ("5s", False),
        ("1m", False),
        ("2m", False),
        ("5m", False),
        ("10m", False),
        ("15m", True),
        ("1h", True),
        ("1d", True),
    ],
)
def test_exactly_one_of_both_is_selected(interval: str, long: bool) -> None:
    """As Prometheus matches: the whole value."""
    recorded = downsampling.labels("a:max1m")[downsampling.LABEL]
    selected = re.fullmatch(f".* {interval} .*", recorded) is not None
    assert selected == long


def test_long_steps_are_read_for_intervals_that_hold_at_least_one() -> None:
    shortest = downsampling.INTERVALS[0]
    assert int(shortest.removesuffix("m")) * 60 == downsampling.LONG_STEP_SECONDS


def test_what_makes_long_steps() -> None:
    names = {"a:increase1m": "sum", "a:count1m": "sum", "a:max15s": "max", "a:max1m": "max", "a:min15s": "min"}
    assert {name: downsampling.made_by(name) for name in names} == names
    assert downsampling.long_steps("a:max15s") == "a:max15m"
    assert (downsampling.step_seconds("a:max15s"), downsampling.step_seconds("a:increase1m")) == (15, 60)
    assert not downsampling.is_downsampled("slo:ttft_slow:ratio_rate1h")
    assert not downsampling.is_downsampled("slo:answered_requests:increase15s")
    with pytest.raises(ValueError, match="ratio_rate1h has no long steps"):
        downsampling.made_by("slo:ttft_slow:ratio_rate1h")


def test_every_series_that_panels_read_by_the_interval_is_recorded_of_both_steps() -> None:
    labelled = {
        rule["record"] for group in recording.rules()["groups"] for rule in group["rules"] if rule.get("labels")
    }
    read = set()
    for dashboard in dashboards.all_dashboards():
        for panel in dashboard.panels:
            for expr in (panel.sparkline, *(query.expr for query in panel.queries)):
                read |= set(re.findall(rf"([\w:]+)\{{{downsampling.LABEL}", expr))
    assert read
    # Long steps are made of series that have the label, and keep it.
    of_all_models = {downsampling.of_all_models(name) for name in labelled if downsampling.is_by_model(name)}
    assert read <= labelled | {downsampling.long_steps(name) for name in labelled} | of_all_models
    assert labelled <= recording.series().keys()
