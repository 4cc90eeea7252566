"""The canary's metrics, in Prometheus' text format."""

import time
from threading import Lock

from glasshouse.privacy_canary.canary import RESULTS, Report, Result

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What the runs so far have shown.

    Args:
        interval: Seconds between two runs.
    """

    def __init__(self, interval: int) -> None:
        self._lock = Lock()
        self._interval = interval
        self._started = time.time()
        self._last_complete = 0.0
        self._runs: dict[Result, int] = dict.fromkeys(RESULTS, 0)
        self._latest = Report()

    def record(self, report: Report) -> None:
        """Counts a run; the places are those of the latest one."""
        with self._lock:
            self._latest = report
            self._runs[report.result] += 1
            if report.failure is None and report.found and not report.unreadable:
                self._last_complete = time.time()

    def page(self) -> str:
        """The page. A place that could not be read has no number of findings: it is unknown, not 0."""
        with self._lock:
            latest, places = self._latest, sorted((*self._latest.found, *self._latest.unreadable))
            metrics = (
                ("privacy_canary_found", "gauge", "Findings of the canary's prompt in the latest run, by place.",
                 [(f'{{place="{place}"}}', latest.found[place]) for place in places if place in latest.found]),
                ("privacy_canary_readable", "gauge", "1 if the latest run could read the place, else 0.",
                 [(f'{{place="{place}"}}', int(place in latest.found)) for place in places]),
                ("privacy_canary_runs_total", "counter", "Runs by result.",
                 [(f'{{result="{result}"}}', count) for result, count in self._runs.items()]),
                ("privacy_canary_last_run_timestamp_seconds", "gauge",
                 "When the latest run ended that got its answers and could read every place; 0 before the first.",
                 [("", self._last_complete)]),
                ("privacy_canary_interval_seconds", "gauge", "Time between two runs.", [("", self._interval)]),
                ("process_start_time_seconds", "gauge", "When the canary was started.", [("", self._started)]),
            )  # fmt: skip
        lines = []
        for name, kind, text, samples in metrics:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{labels} {value}" for labels, value in samples]
        return "\n".join(lines) + "\n"
