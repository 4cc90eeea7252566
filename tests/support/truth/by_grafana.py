"""Queries through Grafana's own query API."""

import re
from typing import Any

from tests.support.grafana.server import Grafana
from tests.support.truth import traffic
from tests.support.truth.asking import Answer, Timing

Json = dict[str, Any]

_STEP = re.compile(r"Step: (?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")


class ByGrafana:
    """Asks a Grafana whose data sources differ in their scrape interval.

    Args:
        grafana: the running Grafana.
        sources: the uid of the data source for each scrape interval in seconds.
    """

    def __init__(self, grafana: Grafana, sources: dict[int, str]) -> None:
        self._grafana, self._sources = grafana, sources

    def ask(self, query: Json, timing: Timing) -> list[Answer]:
        """The series of a query, with what a browser sends.

        Raises:
            AssertionError: Grafana reports an error, or chose another step than `Timing` has.
        """
        sent = {
            **query,
            "datasource": {"type": "prometheus", "uid": self._sources[timing.scrape]},
            "intervalMs": timing.step * 1000,
            "maxDataPoints": timing.points,
        }
        end = traffic.ASKED_AT
        answer = self._grafana.query_between([sent], end - timing.range, end)[query["refId"]]
        assert "error" not in answer, f"{query['expr']}: {answer['error']}"
        return [_answer(frame, query, timing) for frame in answer["frames"] if frame["data"]["values"]]


def _answer(frame: Json, query: Json, timing: Timing) -> Answer:
    executed = frame["schema"]["meta"]["executedQueryString"]
    if not query.get("instant"):
        found = _STEP.search(executed)
        assert found, executed
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        assert hours * 3600 + minutes * 60 + seconds == timing.step, f"{executed}, not {timing.step} s"
    fields, (times, values) = frame["schema"]["fields"], frame["data"]["values"]
    points = tuple((at / 1000, float(value)) for at, value in zip(times, values, strict=True) if value is not None)
    return Answer(fields[1].get("labels", {}), points)
