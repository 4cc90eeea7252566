from observability.panel import Query, Thresholds, graph, stat


def test_the_description_has_question_metrics_blind_spot_and_action() -> None:
    panel = stat("T", "Is it up?", "the rest.", "short", 'a{job="j"} / (b{job="j"} > 0)', action="restart it.")
    assert panel.description == "Is it up?\n\nReads: `a`, `b`.\n\nBlind spot: the rest.\n\nWhat to do: restart it."
    assert "What to do" not in stat("T", "Is it up?", "the rest.", "short", 'a{job="j"}').description


def test_metrics_are_listed_once_in_the_order_of_the_queries() -> None:
    queries = (Query('b{job="j"}', "b"), Query('a{job="j"} + b{job="j"}', "sum"))
    assert graph("T", "Q?", "b.", "short", 24, queries).metrics == ("b", "a")


def test_thresholds_are_ordered_by_value() -> None:
    assert [value for value, _ in Thresholds.high_is_bad(1, 2).steps] == [1, 2]
    assert [value for value, _ in Thresholds.low_is_bad(1, 2).steps] == [1, 2]
