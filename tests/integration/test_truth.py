"""Every number that a panel shows of requests is true, in a Prometheus with a history of known requests.

As tests/grafana/test_truth.py, which asks a real Grafana; here its variables are filled in by the test.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.truth import run, traffic
from tests.support.truth.asking import ByPrometheus
from tests.support.truth.history_prometheus import History, HistoryPrometheus
from tests.support.truth.measures import Truth

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
    pytest.mark.timeout(1800),
]


@pytest.mark.parametrize(
    ("days", "ranges"),
    [
        pytest.param(0.26, ["5m", "6h"], id="6h"),
        pytest.param(7.05, ["7d"], id="7d", marks=pytest.mark.long),
    ],
)
def test_no_number_lies_beyond_its_resolution(
    days: float, ranges: list[str], tmp_path: Path, measured: Callable[[str], None]
) -> None:
    history = History(days)
    truth = Truth(traffic.requests(days), history.times)
    with HistoryPrometheus(tmp_path, history) as prometheus:
        rows = list(run.rows(ByPrometheus(prometheus), truth, ranges))
    measured(f"{len(rows)} queries, {sum(row.points for row in rows):,} numbers over {' and '.join(ranges)}")
    assert {f"{row.panel}, {row.range}": row.wrong[:3] for row in rows if row.wrong} == {}
