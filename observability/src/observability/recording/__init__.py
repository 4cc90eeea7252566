"""Prometheus' recording rules. A group is a module here with a `group` function, and its line in `all_groups`."""

from typing import NotRequired, TypedDict

from observability import downsampling
from observability.recording import cost, dashboards, downsampled, events, extremes, gateway, reconciliation, slo, vllm
from observability.recording.group import Group


class Rule(TypedDict):
    """A recording rule, as in a rule file."""

    record: str
    expr: str
    labels: NotRequired[dict[str, str]]


class RuleGroup(TypedDict):
    """A group of recording rules, as in a rule file."""

    name: str
    interval: str
    rules: list[Rule]


class Rules(TypedDict):
    """A rule file."""

    groups: list[RuleGroup]


def all_groups() -> tuple[Group, ...]:
    """All groups. Prometheus evaluates the rules of one in order, and the groups independently of one another."""
    return (
        slo.group(), extremes.group(), extremes.machines(), dashboards.group(), gateway.group(), vllm.group(),
        cost.group(), reconciliation.group(), events.group(), downsampled.group(),
    )  # fmt: skip


def rules(interval: str | None = None) -> Rules:
    """The rule file.

    Args:
        interval: how often every group is evaluated, instead of its own interval.
    """
    return {"groups": [_rule_group(group, interval) for group in all_groups()]}


def series() -> dict[str, str]:
    """Every recorded series and its expression."""
    return {name: expr for group in all_groups() for name, expr in group.series.items()}


def _rule_group(group: Group, interval: str | None) -> RuleGroup:
    recorded: list[Rule] = [
        {"record": name, "expr": expr, "labels": labels}
        if (labels := downsampling.labels(name))
        else {"record": name, "expr": expr}
        for name, expr in group.series.items()
    ]
    return {"name": group.name, "interval": interval or f"{group.interval_seconds}s", "rules": recorded}
