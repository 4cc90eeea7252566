from observability.panel import RED, Query, Thresholds, graph, largest, stat
from observability.promql import NOT_SCRAPED


def test_the_description_has_question_metrics_blind_spot_and_action() -> None:
    panel = stat("T", "Is it up?", "the rest.", "short", 'a{job="j"} / (b{job="j"} > 0)', action="restart it.")
    assert panel.description == "Is it up?\n\nReads: `a`, `b`.\n\nBlind spot: the rest.\n\nWhat to do: restart it."
    assert "What to do" not in stat("T", "Is it up?", "the rest.", "short", 'a{job="j"}').description


def test_metrics_are_listed_once_in_the_order_of_the_queries() -> None:
    queries = (Query('b{job="j"}', "b"), Query('a{job="j"} + b{job="j"}', "sum"))
    assert graph("T", "Q?", "b.", "short", 24, queries).metrics == ("b", "a")


def test_a_tile_of_the_selected_time_range_says_so_in_its_title() -> None:
    assert stat("Errors", "Q?", "b.", "short", 'rate(a{job="j"}[$__range])').title == "Errors (range)"
    assert stat("Errors (range)", "Q?", "b.", "short", 'rate(a{job="j"}[$__range])').title == "Errors (range)"
    assert stat("Errors", "Q?", "b.", "short", 'rate(a{job="j"}[5m])').title == "Errors"


def test_a_tile_says_that_its_target_is_not_scraped() -> None:
    panel = stat("T", "Q?", "b.", "reqps", 'rate(a{job="gateway"}[5m])', job="gateway", sparkline="recorded{}")
    (query,) = panel.queries
    assert query.expr == (
        '(rate(a{job="gateway"}[5m])) or on () '
        f'(absent(up{{job="gateway", vm=~"$vm", vm!="drill"}} == 1) * {NOT_SCRAPED}) or on () vector(NaN)'
    )
    assert panel.value_mappings == ((NOT_SCRAPED, "gateway not scraped", RED),)
    # The course has gaps instead.
    assert panel.sparkline == "recorded{}"


def test_a_table_of_the_largest_rows_limits_every_column_to_them() -> None:
    first, second = largest(5, "key", (Query('a{job="j"}', "Dollars"), Query('b{job="j"}', "Requests")))
    assert first.expr == 'topk(5, a{job="j"})'
    assert second.expr == '(b{job="j"}) and on (key) topk(5, a{job="j"})'
    assert (first.legend, second.legend) == ("Dollars", "Requests")


def test_thresholds_are_ordered_by_value() -> None:
    assert [value for value, _ in Thresholds.high_is_bad(1, 2).steps] == [1, 2]
    assert [value for value, _ in Thresholds.low_is_bad(1, 2).steps] == [1, 2]
