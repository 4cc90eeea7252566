"""Which panels and alerts would go blind if a part exported this, and no longer what it does now?

An engine's next version may rename a metric, and a panel without data looks like a stack without traffic. So that it is
known before an upgrade: `curl -s http://vllm:8001/metrics | python -m observability --against vllm`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from observability import annotations, dashboards, recording
from observability.alerts import rules

Exported = dict[str, dict[str, set[str]]]

_SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# Given by Prometheus, not by the part.
_OF_PROMETHEUS = frozenset({"job", "instance", "vm"})
_FOR_EVERY_TARGET = frozenset({"up", "scrape_duration_seconds", "scrape_samples_scraped"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One metric in one expression.

    Attributes:
        who: the panel, annotation or alert.
        metric: its name.
        job: a regular expression for the parts that it is asked of.
        labels: those that are matched.
    """

    who: str
    metric: str
    job: str
    labels: tuple[str, ...]


def exported(scrape: str) -> Exported:
    """What a scrape holds: for each metric its labels, and the values of those labels."""
    known: Exported = {}
    for line in scrape.splitlines():
        if not line or line.startswith("#"):
            continue
        labels = known.setdefault(re.split(r"[{ ]", line, maxsplit=1)[0], {})
        for key, value in _LABEL.findall(line):
            labels.setdefault(key, set()).add(value)
    return known


def expressions() -> Iterable[tuple[str, str]]:
    """Everything that is asked, and by whom."""
    for dashboard in dashboards.every():
        for panel in dashboard.panels:
            for query in panel.queries:
                yield f"{dashboard.title} / {panel.title}", query.expr
        for mark in annotations.every(dashboard.choices.at_each_point):
            yield f"{dashboard.title} / annotation {mark.name}", mark.expr
    for alert in rules.every():
        yield f"alert {alert.name}", alert.expr
    for name, expression in recording.series().items():
        yield f"recorded {name}", expression


def asked() -> Iterable[Asked]:
    """Every metric that is asked for."""
    for who, expression in expressions():
        for metric, matchers in _SELECTOR.findall(expression):
            found = _MATCHER.findall(matchers)
            jobs = [value for label, _, value in found if label == "job"]
            labels = tuple(label for label, *_ in found if label not in _OF_PROMETHEUS)
            yield Asked(who, metric, jobs[0] if jobs else ".*", labels)


def broken(job: str, scrape: str) -> dict[str, list[str]]:
    """For each metric, or label of one, that the scrape of a job lacks: who asks for it."""
    there = exported(scrape)
    made_by_prometheus = _FOR_EVERY_TARGET | recording.series().keys()
    lost: dict[str, list[str]] = {}
    for want in asked():
        if want.metric in made_by_prometheus or not re.fullmatch(want.job, job):
            continue
        if want.metric not in there:
            gone = [want.metric]
        else:
            gone = [f"{want.metric}{{{label}}}" for label in want.labels if label not in there[want.metric]]
        for name in gone:
            who = lost.setdefault(name, [])
            if want.who not in who:
                who.append(want.who)
    return lost


def told(job: str, lost: dict[str, list[str]]) -> str:
    """One line for each metric that is lacking."""
    return "\n".join(f"{job} does not export {name}: {'; '.join(who)}" for name, who in lost.items())
