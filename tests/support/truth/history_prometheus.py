"""A Prometheus that has the history of these requests, and what the shipped rules would have recorded of it."""

import contextlib
import itertools
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from tests.support import history
from tests.support.generated_files import generated_yaml
from tests.support.program import HOST, Program, free_port, until
from tests.support.truth import traffic
from tests.support.truth.history import RECORDING, History
from tests.support.truth.samples import Changes

Json = dict[str, Any]

_SELDOM_S = 300
_OF_DAYS = re.compile(r"slo:.*(1d|3d)")
_INSTANT = re.compile(r"([a-z_]+:[a-z0-9_:]+)\{[^}]*\}(?!\[)")
# For annotations.
_NOT_COMPARED = ("glasshouse-events",)
# promtool asks for all points of a rule in a block at once. A block lasts two hours, or three times the one before.
_MOST_POINTS = 11_000


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
        data = self._directory / "data"
        for times in by_block(self._history.times):
            history.write_lines(data, lines(self._history.series, times))
        for rules in passes(generated_yaml(RECORDING)):
            with self._running():
                for window, wanted in self._windows(rules):
                    for seconds, groups in _by_interval(wanted):
                        history.record(data, self.url, groups, window, _block(seconds))
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

    A running Prometheus evaluates the rules of a group in order, and promtool each over the whole time. A series that
    has no value at an evaluation is stale then for the rules after it; in blocks it would be read for five minutes.
    """
    level: dict[str, int] = {}
    wanted = [group for group in rule_file["groups"] if group["name"] not in _NOT_COMPARED]
    for group in wanted:
        for rule in group["rules"]:
            read = set(re.findall(r"[a-z_]+:[a-z0-9_:]+", rule["expr"])) - {rule["record"]}
            level[rule["record"]] = 1 + max((level[name] for name in read if name in level), default=0)
    for number in range(1, max(level.values()) + 1):
        groups = [
            {
                **group,
                "rules": [
                    {**rule, "expr": _at_the_same_evaluation(rule["expr"], level, _interval(group))}
                    for rule in group["rules"]
                    if level[rule["record"]] == number
                ],
            }
            for group in wanted
        ]
        yield {"groups": [group for group in groups if group["rules"]]}


def _at_the_same_evaluation(expression: str, recorded: Collection[str], interval_s: int) -> str:
    """Reads what was recorded now, and nothing older, where no range is given.

    But for what is recorded seldom, or never changes.
    """

    def latest(match: re.Match[str]) -> str:
        if match[1] not in recorded or _OF_DAYS.fullmatch(match[1]) or match[1].endswith("_objective"):
            return match[0]
        return f"last_over_time({match[0]}[{interval_s - 1}s])"

    return _INSTANT.sub(latest, expression)


def _by_interval(rule_file: Json) -> Iterator[tuple[int, Json]]:
    """The groups of each interval, in seconds."""
    groups = sorted(rule_file["groups"], key=_interval)
    for seconds, found in itertools.groupby(groups, key=_interval):
        yield seconds, {"groups": list(found)}


def _interval(group: Json) -> int:
    return int(group["interval"].removesuffix("s"))


def _block(interval_s: int) -> str:
    """The longest block for a rule of an interval: each one costs time of its own."""
    hours = 2
    while 3 * hours * traffic.HOUR <= _MOST_POINTS * interval_s:
        hours *= 3
    return f"{hours}h"


def _seldom(rule_file: Json) -> Json:
    """Windows of days every five minutes only: to add up three days every 15 s takes minutes."""
    groups: list[Json] = []
    for group in rule_file["groups"]:
        long = [rule for rule in group["rules"] if _OF_DAYS.fullmatch(rule["record"])]
        groups.append({**group, "rules": [rule for rule in group["rules"] if rule not in long]})
        groups.append({"name": f"{group['name']}-seldom", "interval": f"{_SELDOM_S}s", "rules": long})
    return {"groups": [group for group in groups if group["rules"]]}


def by_block(times: list[int]) -> Iterator[list[int]]:
    """The times of each block: promtool reads all that it is given once for each, and a week is gigabytes."""
    for _, block in itertools.groupby(times, key=lambda at: at // history.BLOCK_S):
        yield list(block)


def lines(series: Changes, times: list[int]) -> Iterator[str]:
    """The samples of each series in turn, in pieces of the same value."""
    ends = [f" {time}\n" for time in times]
    for (name, labels), changes in series.items():
        starts = [bisect_left(times, at) for at, _ in changes]
        for (_, value), first, last in zip(changes, starts, [*starts[1:], len(times)], strict=True):
            if value is not None:
                sample = f"{name}{{{labels}}} {value!r}"
                yield "".join([sample + end for end in ends[first:last]])
