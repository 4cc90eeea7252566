"""What is exposed of requests is what the gateway counts of them."""

from tests.support.truth import exposition, traffic
from tests.support.truth.history_prometheus import by_block, lines, passes
from tests.support.truth.samples import Changes

MINUTES = traffic.RANGES["5m"] // 60 + 5
TIMES = range(traffic.ASKED_AT - 60 * MINUTES, traffic.ASKED_AT, 5)


def test_counters_end_at_the_number_of_requests() -> None:
    requests = traffic.requests(days=MINUTES / 1440)
    series = exposition.scrapes(requests, (), TIMES)
    counted = {labels: changes[-1][1] for (name, labels), changes in series.items() if name == "gateway_requests_total"}
    assert sum(value or 0 for value in counted.values()) == len(requests) > 20


def test_the_traffic_is_the_same_in_every_run_and_quiet_at_the_ends_of_ranges() -> None:
    requests = traffic.requests(days=7)
    assert requests == traffic.requests(days=7)
    for length in (0, *traffic.RANGES.values()):
        end = traffic.ASKED_AT - length
        assert not [each for each in requests if abs(each.ended - end) < traffic.QUIET_S]


def test_a_rule_is_evaluated_after_those_that_it_reads() -> None:
    rules = [
        {"record": "a:b", "expr": "sum(x)"}, {"record": "c:d", "expr": "sum_over_time(a:b{}[5m])"},
        {"record": "e:f", "expr": "c:d{} / a:b{}"}, {"record": "g:h", "expr": "y"},
    ]  # fmt: skip
    found = [
        [rule["record"] for group in each["groups"] for rule in group["rules"]]
        for each in passes({"groups": [{"name": "g", "interval": "15s", "rules": rules}]})
    ]
    assert found == [["a:b", "g:h"], ["c:d"], ["e:f"]]


def test_a_rule_reads_nothing_older_than_its_own_evaluation() -> None:
    expressions = {"a:b": "sum(x)", "c:d": "a:b{} / other{}", "e:f": "sum_over_time(a:b{}[5m])"}
    rules = [{"record": record, "expr": expr} for record, expr in expressions.items()]
    _, second = passes({"groups": [{"name": "g", "interval": "15s", "rules": rules}]})
    found = [rule["expr"] for group in second["groups"] for rule in group["rules"]]
    assert found == ["last_over_time(a:b{}[14s]) / other{}", "sum_over_time(a:b{}[5m])"]


def test_blocks_have_the_samples_of_all_times() -> None:
    times = [*range(0, 400_000, 60)]
    series: Changes = {("a", 'x="1"'): [(0, 1.0), (300_000, 2.5)], ("b", ""): [(60, 1.0), (200_000, None)]}
    blocks = list(by_block(times))
    assert len(blocks) == 3
    parts = [line for block in blocks for piece in lines(series, block) for line in piece.splitlines()]
    whole = [line for piece in lines(series, times) for line in piece.splitlines()]
    assert sorted(parts) == sorted(whole)
    assert len(whole) == len(times) + 200_000 // 60
