"""Which panels, annotations and alerts would have no data if a job exported this scrape?

The next version of an engine may rename a metric, and a panel without data looks like a stack without traffic. To find
out before an upgrade: `curl -s http://vllm:8001/metrics | python -m observability --against vllm`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from observability import alerts, annotations, dashboards, recording

# For each metric its labels, and for each label its values.
Exposition = dict[str, dict[str, set[str]]]

_SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
# Panels of what most stacks do not configure: their metric is missing there, and rightly so.
_CONFIGURED = ("needs-lora", "needs-mig")
# Labels and metrics that Prometheus itself adds to every target, and what it says of its alert rules.
_TARGET_LABELS = frozenset({"job", "instance", "vm"})
_TARGET_METRICS = frozenset({"up", "scrape_duration_seconds", "scrape_samples_scraped"})
_RULE_METRICS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


@dataclass(frozen=True, slots=True)
class MetricUse:
    """One metric in one expression.

    Attributes:
        used_by: the panel, annotation or alert.
        metric: its name.
        job: a regular expression that matches the jobs that are queried.
        labels: the labels that are matched.
    """

    used_by: str
    metric: str
    job: str
    labels: tuple[str, ...]


def parse_exposition(scrape: str) -> Exposition:
    """The metrics of a scrape in the text format, with their labels and values."""
    metrics: Exposition = {}
    for line in scrape.splitlines():
        if not line or line.startswith("#"):
            continue
        labels = metrics.setdefault(re.split(r"[{ ]", line, maxsplit=1)[0], {})
        for key, value in _LABEL.findall(line):
            labels.setdefault(key, set()).add(value)
    return metrics


def expressions() -> Iterable[tuple[str, str]]:
    """Every expression, after the name of what uses it; what is recorded is in those that read it."""
    for dashboard in dashboards.all_dashboards():
        for panel in dashboard.panels:
            if panel.needs in _CONFIGURED:
                continue
            for query in panel.queries:
                yield f"{dashboard.title} / {panel.title}", query.expr
        for annotation in annotations.all_annotations(dashboard.variables.per_interval):
            yield f"{dashboard.title} / annotation {annotation.name}", annotation.expr
    for alert in alerts.all_alerts():
        yield f"alert {alert.name}", alert.expr


def metric_uses() -> Iterable[MetricUse]:
    """Every use of a metric."""
    recorded = recording.series()
    for used_by, expression in expressions():
        yield from _uses(used_by, expression, recorded, set())


def _uses(used_by: str, expression: str, recorded: dict[str, str], seen: set[str]) -> Iterable[MetricUse]:
    """The uses of what targets export: those of a recorded series are the uses of its own expression."""
    for metric, matchers in _SELECTOR.findall(expression):
        if metric in recorded:
            if metric not in seen:
                seen.add(metric)
                yield from _uses(used_by, recorded[metric], recorded, seen)
            continue
        found = _MATCHER.findall(matchers)
        jobs = [value for label, _, value in found if label == "job"]
        labels = tuple(label for label, *_ in found if label not in _TARGET_LABELS)
        yield MetricUse(used_by, metric, jobs[0] if jobs else ".*", labels)


def find_missing(job: str, scrape: str) -> dict[str, list[str]]:
    """For each metric, or label of a metric, that is missing from the job's scrape: what uses it."""
    exported = parse_exposition(scrape)
    not_from_targets = _TARGET_METRICS | _RULE_METRICS
    missing: dict[str, list[str]] = {}
    for use in metric_uses():
        if use.metric in not_from_targets or not re.fullmatch(use.job, job):
            continue
        if use.metric not in exported:
            names = [use.metric]
        else:
            names = [f"{use.metric}{{{label}}}" for label in use.labels if label not in exported[use.metric]]
        for name in names:
            users = missing.setdefault(name, [])
            if use.used_by not in users:
                users.append(use.used_by)
    return missing


def format_report(job: str, missing: dict[str, list[str]]) -> str:
    """One line for each missing metric."""
    return "\n".join(f"{job} does not export {name}: {'; '.join(users)}" for name, users in missing.items())
