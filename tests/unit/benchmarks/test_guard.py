"""The guard of the gateway's cost, with figures recorded from real rounds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from benchmarks import guard
from benchmarks.guard import Measured, Round
from benchmarks.measure import Sample

if TYPE_CHECKING:
    from pathlib import Path

PLAIN, EVENT = "plain request", "streamed event"
# CPU seconds of nginx and of the gateway, read off nine rounds on a busy machine.
RECORDED = {
    PLAIN: (
        (0.1272, 1.8874), (0.1709, 2.0458), (0.1181, 2.3758), (0.1575, 2.0391), (0.1973, 2.2629),
        (0.1696, 2.1728), (0.1873, 2.1097), (0.0937, 1.8123), (0.2071, 1.9303),
    ),
    EVENT: (
        (0.1109, 0.3904), (0.0948, 0.4554), (0.116, 0.3838), (0.1216, 0.5062), (0.1042, 0.3881),
        (0.1331, 0.3523), (0.1212, 0.3929), (0.0976, 0.3875), (0.1258, 0.3552),
    ),
}  # fmt: skip


def _round(unit: str, nginx_s: float, gateway_s: float) -> Round:
    """nginx takes `nginx_s` CPU seconds for as many requests as the gateway has."""
    load = guard.LOADS[unit]
    base = Sample(load.requests, load.requests * load.tokens, 0.0, 0.0, 0.0, 1.0, 10.0)
    return Round(
        (replace(base, cpu_s=0.8 * nginx_s), replace(base, cpu_s=1.2 * nginx_s)), replace(base, cpu_s=gateway_s)
    )


def _measured(dearer: float = 1.0, *, worst: float = 1.0, others: float = 0.0) -> Measured:
    """Of the recorded rounds, with a gateway that is so much dearer, and in two rounds `worst` times that."""
    rounds = {
        unit: [
            _round(unit, nginx, gateway * dearer * (worst if number < 2 else 1))
            for number, (nginx, gateway) in enumerate(recorded)
        ]
        for unit, recorded in RECORDED.items()
    }
    return Measured(guard.medians(rounds), others)


BASELINE = _measured().ratios


def test_a_ratio_is_that_of_the_costs_per_unit() -> None:
    base = Sample(1_000, 16_000, 0.5, 0.0, 0.0, 1.0, 10.0)
    one = Round((replace(base, cpu_s=0.3), replace(base, cpu_s=0.7)), replace(base, done=500, tokens=4_000, cpu_s=1.0))
    assert one.ratio(PLAIN) == pytest.approx(4.0)
    assert one.ratio(EVENT) == pytest.approx(8.0)


def test_the_median_of_the_rounds_counts() -> None:
    rounds = [_round(PLAIN, 1.0, ratio) for ratio in (9.0, 2.0, 3.0, 1.0, 2.5)]
    assert guard.medians({PLAIN: rounds}) == {PLAIN: pytest.approx(2.5)}


@pytest.mark.parametrize("dearer", [0.5, 1.0, 1.2])
def test_what_is_within_the_tolerance_passes(dearer: float) -> None:
    assert guard.regressions(_measured(dearer), BASELINE) == []


def test_two_rounds_that_something_has_disturbed_do_not_matter() -> None:
    assert guard.regressions(_measured(1.05, worst=5.0), BASELINE) == []


def test_a_regression_is_named_with_both_figures_and_the_remedy() -> None:
    found = guard.regressions(_measured(1.3), BASELINE)
    assert len(found) == 2
    assert found[0].startswith(f"A plain request costs {1.3 * BASELINE[PLAIN]:.2f} times nginx's CPU, 30% more than")
    assert found[0].endswith("25% is allowed. If it is meant: make bench-baseline")
    (event,) = guard.regressions(_measured(), {PLAIN: BASELINE[PLAIN], EVENT: BASELINE[EVENT] / 1.26})
    assert event.startswith("A streamed event costs ")


def test_a_busy_machine_is_allowed_more() -> None:
    assert guard.regressions(_measured(2.0, others=0.5), BASELINE) == []
    assert len(guard.regressions(_measured(2.0, others=0.3), BASELINE)) == 2
    assert len(guard.regressions(_measured(3.5, others=1.0), BASELINE)) == 2


def test_wrong_answers_are_no_figures() -> None:
    good = _round(PLAIN, 1.0, 2.0)
    broken = Round(good.nginx, replace(good.gateway, failures=Counter({"wrong text": 3})))
    with pytest.raises(guard.WrongAnswersError, match="wrong text"):
        broken.ratio(PLAIN)


def test_the_committed_baseline_has_every_load(tmp_path: Path) -> None:
    assert set(guard.read_baseline()) == set(guard.LOADS)
    other = tmp_path / "baseline.json"
    other.write_text(json.dumps({PLAIN: 2.0}))
    assert guard.read_baseline(other) == {PLAIN: 2.0}
