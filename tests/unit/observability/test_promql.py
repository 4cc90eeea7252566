from observability import promql
from observability.promql import Scope


def test_a_filter_uses_the_label_of_the_metric() -> None:
    scope = Scope("1m", {"model": "$model", "engine": "$engine"})
    assert scope.series("m", "j", 'a="b"', model="model_name") == 'm{job="j", a="b", model_name=~"$model"}'
    assert Scope("1m").series("m", "j", model="model_name") == 'm{job="j"}'


def test_what_a_drill_adds_can_be_left_out() -> None:
    assert Scope("1m", {"vm": "$vm"}, without_drill=True).series("m", "j", vm="vm") == (
        'm{job="j", vm=~"$vm", vm!="drill"}'
    )


def test_a_job_pattern_is_matched_as_a_regular_expression() -> None:
    assert Scope("1m").series("up", ".+-launcher") == 'up{job=~".+-launcher"}'


def test_rates_use_the_window_of_the_scope() -> None:
    assert Scope("5m").rate("m{}") == "rate(m{}[5m])"


def test_a_share_is_empty_without_a_denominator() -> None:
    assert promql.share("a", "b") == "a / (b > 0)"


def test_a_quantile_keeps_the_bucket_label_and_the_grouping() -> None:
    assert promql.quantile(0.95, "r", "model") == "histogram_quantile(0.95, sum by (le, model) (r)) >= 0"


def test_metric_names_are_listed_once_and_in_order() -> None:
    assert promql.metric_names('sum(b{x="1"}) / (a{} > 0) + b{}') == ["b", "a"]


def test_a_gauge_is_its_extreme_in_the_window_where_the_scope_says_so() -> None:
    assert Scope("5m").highest('m{job="j"}') == 'm{job="j"}'
    assert Scope("5m", extremes=True).highest('m{job="j"}') == 'max_over_time(m{job="j"}[5m])'
    assert Scope("5m", extremes=True).lowest('m{job="j"}') == 'min_over_time(m{job="j"}[5m])'


def test_the_same_window_of_another_day() -> None:
    week_ago = Scope("5m", {"vm": "a"}).before("7d")
    assert week_ago.rate('m{job="j"}') == 'rate(m{job="j"}[5m] offset 7d)'
    assert week_ago.highest('m{job="j"}') == 'm{job="j"} offset 7d'
    assert week_ago.filters == {"vm": "a"}
