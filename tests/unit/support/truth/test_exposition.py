"""What is exposed of requests is what the gateway counts of them."""

from tests.support.truth import exposition, traffic
from tests.support.truth.history_prometheus import passes

MINUTES = traffic.RANGES["5m"] // 60 + 5
TIMES = range(traffic.ASKED_AT - 60 * MINUTES, traffic.ASKED_AT, 5)


def test_counters_end_at_the_number_of_requests() -> None:
    requests = traffic.requests(days=MINUTES / 1440)
    series = exposition.scrapes(requests, TIMES)
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
        for each in passes({"groups": [{"name": "g", "rules": rules}]})
    ]
    assert found == [["a:b", "g:h"], ["c:d"], ["e:f"]]
