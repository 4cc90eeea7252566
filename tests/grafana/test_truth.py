"""Every number that a panel shows of requests is true, through a real Grafana, over five minutes, six hours, a week."""

import pytest
from tests.support.truth import run, traffic
from tests.support.truth.by_grafana import ByGrafana
from tests.support.truth.comparison import Row
from tests.support.truth.measures import Truth

pytestmark = [pytest.mark.grafana, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("range_name", traffic.RANGES)
def test_no_number_lies_beyond_its_resolution(
    range_name: str, history_grafana: ByGrafana, truth: Truth, truth_rows: list[Row]
) -> None:
    rows = list(run.rows(history_grafana, truth, [range_name]))
    truth_rows += rows
    assert {row.panel: row.wrong[:3] for row in rows if row.wrong} == {}
