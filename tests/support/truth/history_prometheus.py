"""A Prometheus that has the history of these requests, and what the shipped rules would have recorded of it."""

import contextlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from tests.support import history
from tests.support.generated_files import generated_yaml
from tests.support.program import HOST, Program, free_port, until
from tests.support.truth import other_targets, traffic
from tests.support.truth.exposition import Changes, scrapes

Json = dict[str, Any]

SCRAPE_S = 5
COARSE_S = 60
# The last hours as they are scraped; before them a sample a minute, since a week of scrapes takes minutes to write.
_FINE_S = 6 * traffic.HOUR + 15 * traffic.MINUTE
_RECORDING = "prometheus/rules/recording.yml"
_SELDOM_S = 300
_OF_DAYS = re.compile(r"slo:.*(1d|3d)")
# Not of requests: what engines and gateways count of the same tokens, and events for annotations.
_NOT_COMPARED = ("glasshouse-reconciliation", "glasshouse-events")
# A rule that is evaluated every 15 s may not have more points in a block.
_BLOCK = "18h"


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

    @property
    def times(self) -> list[int]:
        """The times of scrapes."""
        return [*range(self.start, self.fine, COARSE_S), *range(self.fine, traffic.ASKED_AT, SCRAPE_S)]


class HistoryPrometheus:
    """Use as a context manager.

    Args:
        directory: for its data.
        given: how much history.
    """

    def __init__(self, directory: Path, given: History) -> None:
        self._directory, self._history = directory, given
        self._exits = contextlib.ExitStack()
        self._address = f"{HOST}:{free_port()}"
        self.url = f"http://{self._address}"

    def __enter__(self) -> Self:
        data, times = self._directory / "data", self._history.times
        requests = traffic.requests(self._history.days)
        series = scrapes(requests, times) | other_targets.scrapes(requests, times)
        history.write_lines(data, _lines(series, times))
        for rules in passes(generated_yaml(_RECORDING)):
            with self._running():
                for window, wanted in self._windows(rules):
                    history.record(data, self.url, wanted, window, _BLOCK)
        self._exits.enter_context(self._running())
        # A kept connection may be closed while a test computes, and the next request would fail.
        single_use = httpx.Limits(max_keepalive_connections=0)
        client = httpx.Client(base_url=self.url, trust_env=False, timeout=120, limits=single_use)
        self._client = self._exits.enter_context(client)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def get(self, path: str, parameters: Mapping[str, str]) -> list[Json]:
        """The result of a query.

        Raises:
            AssertionError: Prometheus rejects it.
        """
        answer = self._client.post(path, data=dict(parameters))
        assert answer.is_success, f"{parameters}: {answer.text}"
        result: list[Json] = answer.json()["data"]["result"]
        return result

    def _windows(self, rules: Json) -> Iterator[tuple[range, Json]]:
        """When which rules are evaluated."""
        start, fine = self._history.start, self._history.fine
        if start < fine:
            yield range(start, fine), _seldom(rules)
        yield range(fine, traffic.ASKED_AT), rules

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        config = self._directory / "prometheus.yml"
        config.write_text(yaml.safe_dump({"global": {"scrape_interval": "15s"}}), encoding="utf-8")
        command = (
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={self._directory}/data",
            "--storage.tsdb.retention.time=10y", f"--web.listen-address={self._address}",
        )  # fmt: skip
        program = Program("prometheus", command, {}, self._directory)
        try:
            until(self._is_ready, 120, "Prometheus is ready", pause=0.1)
            yield
        finally:
            program.stop()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False, timeout=10).is_success
        except httpx.TransportError:
            return False


def passes(rule_file: Json) -> Iterable[Json]:
    """The rule file in several, each of which reads only what those before it have recorded.

    A running Prometheus evaluates the rules of a group in order, and promtool each over the whole time.
    """
    level: dict[str, int] = {}
    wanted = [group for group in rule_file["groups"] if group["name"] not in _NOT_COMPARED]
    for group in wanted:
        for rule in group["rules"]:
            read = set(re.findall(r"[a-z_]+:[a-z0-9_:]+", rule["expr"])) - {rule["record"]}
            level[rule["record"]] = 1 + max((level[name] for name in read if name in level), default=0)
    for number in range(1, max(level.values()) + 1):
        groups = (
            {**group, "rules": [rule for rule in group["rules"] if level[rule["record"]] == number]} for group in wanted
        )
        yield {"groups": [group for group in groups if group["rules"]]}


def _seldom(rule_file: Json) -> Json:
    """Windows of days every five minutes only: to add up three days every 15 s takes minutes."""
    groups: list[Json] = []
    for group in rule_file["groups"]:
        long = [rule for rule in group["rules"] if _OF_DAYS.fullmatch(rule["record"])]
        groups.append({**group, "rules": [rule for rule in group["rules"] if rule not in long]})
        groups.append({"name": f"{group['name']}-seldom", "interval": f"{_SELDOM_S}s", "rules": long})
    return {"groups": [group for group in groups if group["rules"]]}


def _lines(series: Changes, times: list[int]) -> Iterator[str]:
    """The samples of each series in turn, in pieces of the same value."""
    ends = [f" {time}\n" for time in times]
    for (name, labels), changes in series.items():
        starts = [bisect_left(times, at) for at, _ in changes]
        for (_, value), first, last in zip(changes, starts, [*starts[1:], len(times)], strict=True):
            if value is not None:
                sample = f"{name}{{{labels}}} {value!r}"
                yield "".join([sample + end for end in ends[first:last]])
