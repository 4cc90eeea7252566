import re
import shutil
from pathlib import Path

import pytest
from tests.support.promtool import run_cases

from observability import settings
from observability.promql import Scope
from observability.queries import stack
from observability.queries.gateway import history
from observability.recording import dashboards

CASES = Path(__file__).parent / "dashboards.test.yml"
HOUR = Scope("1h")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_ranges_are_counted_to_the_request(tmp_path: Path) -> None:
    expressions = {
        "FINISHED_BY_OUTCOME": history.finished(HOUR, "outcome"),
        "FINISHED_BY_MODEL": history.finished(HOUR, "model"),
        "FAILED_SHARE": history.failed_share(HOUR),
        "CANCELLED_SHARE": history.cancelled_share(HOUR),
        "AVAILABILITY": f"({history.availability(HOUR)})",
        "NOT_OK": history.not_ok_share(HOUR),
        "TTFT_P95": history.latency(HOUR, history.TTFT, 0.95),
        "WITHIN_1S": history.within_share(HOUR, "1.0"),
    }
    escaped = {place: expr.replace('"', '\\"') for place, expr in expressions.items()}
    run_cases(tmp_path, CASES, dashboards.group(), **escaped)


def test_the_names_of_recorded_series_say_their_step() -> None:
    group = dashboards.group()
    for name, expr in group.series.items():
        if name in {stack.PROBES, stack.PROBES_PASSED}:
            assert name.endswith(":count1m")
            assert "[1m]" in expr
            continue
        if "(route:" in expr:  # sums of others
            continue
        step = re.fullmatch(r".*:increase(\d+)m", name)
        if step is None:
            assert ":ratio_rate" in name
            continue
        seconds = int(step[1]) * 60
        assert seconds == group.interval_seconds
        # What came between two evaluations, read a scrape later.
        assert f"offset {seconds + settings.SCRAPE_INTERVAL_SECONDS}s" in expr


def test_a_rate_divides_by_the_step_of_its_series() -> None:
    assert history.request_rate(HOUR).endswith(f" / {dashboards.group().interval_seconds}")
