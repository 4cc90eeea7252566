"""A history of known requests: what all parts of the stack would have exposed of it, and the truth."""

import functools
from dataclasses import dataclass

from tests.support.generated_files import generated_yaml
from tests.support.grafana.panels import dashboards, panel_queries
from tests.support.truth import engine_traffic, exposition, samples, targets, traffic
from tests.support.truth.events import Truth
from tests.support.truth.samples import Changes
from tests.support.truth.traffic import Request

RECORDING = "prometheus/rules/recording.yml"
SCRAPE_S = 5
COARSE_S = 60
# The last hours as they are scraped; before them a sample a minute, since a week of scrapes takes minutes to write.
_FINE_S = 6 * traffic.HOUR + 15 * traffic.MINUTE


@dataclass(frozen=True)
class History:
    """How much history there is.

    Attributes:
        days: of it.
    """

    days: float

    @property
    def start(self) -> int:
        return int(traffic.ASKED_AT - self.days * traffic.DAY) // COARSE_S * COARSE_S

    @property
    def fine(self) -> int:
        """From when on it is scraped as often as in a running stack."""
        return max(self.start, (traffic.ASKED_AT - _FINE_S) // COARSE_S * COARSE_S)

    @functools.cached_property
    def times(self) -> list[int]:
        """The times of scrapes."""
        return [*range(self.start, self.fine, COARSE_S), *range(self.fine, traffic.ASKED_AT, SCRAPE_S)]

    @functools.cached_property
    def requests(self) -> list[Request]:
        """Of clients."""
        return traffic.requests(self.days)

    @functools.cached_property
    def at_engines(self) -> list[Request]:
        """What engines worked for."""
        return engine_traffic.at_engines(self.days)

    @functools.cached_property
    def series(self) -> Changes:
        """The samples of every series that a panel or a rule reads, where they change."""
        probes = engine_traffic.probes(self.days)
        found = targets.scrapes(self.requests, self.at_engines, self.times)
        found |= exposition.scrapes(self.requests, probes, self.times)
        read = _expressions()
        return {series: values for series, values in found.items() if series[0] in read}

    @functools.cached_property
    def truth(self) -> Truth:
        """What happened."""
        series = samples.by_metric(self.series, self.times)
        return Truth(self.requests, self.times, self.at_engines, series)


def _expressions() -> str:
    """All queries and recording rules."""
    queries = [
        query["expr"] for dashboard in dashboards() for panel in panel_queries(dashboard) for query in panel.queries
    ]
    rules = [rule["expr"] for group in generated_yaml(RECORDING)["groups"] for rule in group["rules"]]
    return "\n".join([*queries, *rules])
