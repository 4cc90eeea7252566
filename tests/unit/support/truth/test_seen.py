"""What is read off samples."""

import pytest
from tests.support.truth import seen
from tests.support.truth.events import Truth
from tests.support.truth.samples import by_metric

TIMES = range(1000, 1100, 10)
_A, _B = 'vm="local",gpu="0"', 'vm="remote",gpu="0"'
SAMPLES = by_metric(
    {
        ("gauge", _A): [(1000, 1.0), (1040, 5.0), (1050, 2.0)],
        ("gauge", _B): [(1000, 3.0), (1080, None)],
        ("counter", _A): [(1000, 10.0), (1030, 14.0), (1060, 1.0)],
    },
    TIMES,
)
TRUTH = Truth((), TIMES, samples=SAMPLES)


def test_extremes_and_means_are_of_the_scrapes_of_the_window() -> None:
    assert seen.highest("gauge", "vm").values(TRUTH, 1030, 1060) == {"local": 5, "remote": 3}
    assert seen.lowest("gauge", across=min).values(TRUTH, 1030, 1060) == {"": 1}
    assert seen.average("gauge", "vm").values(TRUTH, 1030, 1060)["local"] == pytest.approx((1 + 5 + 2 + 2) / 4)


def test_the_latest_sample_is_shown_where_there_is_none() -> None:
    assert seen.latest("gauge").values(TRUTH, 1099, 1099) == {"": 5}
    assert seen.latest("gauge", vm="remote").values(TRUTH, 1500, 1500) == {}


def test_a_counter_that_begins_anew_has_gained_what_it_shows() -> None:
    assert seen.increase("counter").values(TRUTH, 1000, 1059) == {"": 4}
    assert seen.increase("counter").values(TRUTH, 1000, 1099) == {"": 5}


def test_one_vm_is_seen_alone() -> None:
    assert seen.latest("gauge", "vm").values(TRUTH.of("remote"), 1070, 1070) == {"remote": 3}
