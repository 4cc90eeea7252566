"""Expressions and recording rules, evaluated by promtool over series that a test writes down."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from tests.support.generated_files import recording_groups

from observability.recording.group import Group

SCRAPE_SECONDS = 5
Values = Sequence[float | None]


def counter(seconds: int, *events: tuple[int, float]) -> list[float]:
    """A counter's samples over so many seconds; each event is when it counts, and how much."""
    moments = range(0, seconds + 1, SCRAPE_SECONDS)
    return [sum(amount for at, amount in events if at <= moment) for moment in moments]


def every(interval: int, seconds: int, amount: float, *, late: int = 0) -> tuple[tuple[int, float], ...]:
    """The events of something that is counted every so many seconds, or some seconds later than it happened."""
    return tuple((at + late, amount) for at in range(interval, seconds + 1, interval))


def evaluate(
    directory: Path,
    series: Mapping[str, Values],
    expected: Mapping[str, Mapping[str, float]],
    *,
    at: int,
    group: Group | None = None,
) -> None:
    """Fails unless each expression has exactly these results.

    Args:
        directory: for the test's files.
        series: samples by name and labels, one each SCRAPE_SECONDS; None where there was none.
        expected: results by labels, of each expression. Values are compared rounded to a thousandth.
        at: the second at which they are evaluated.
        group: recording rules, evaluated at their interval. One group, since promtool has one interval for all.
    """
    interval = group.interval_seconds if group else SCRAPE_SECONDS
    rules = [{"record": name, "expr": expr} for name, expr in group.series.items()] if group else []
    rule_file = {"groups": [{"name": "tested", "rules": rules}]}
    (directory / "rules.yml").write_text(yaml.safe_dump(rule_file), encoding="utf-8")
    test = {
        "interval": f"{SCRAPE_SECONDS}s",
        "input_series": [
            {"series": name, "values": " ".join("_" if value is None else repr(value) for value in values)}
            for name, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f"round(1000 * ({expression}))",
                "eval_time": f"{at}s",
                "exp_samples": [{"labels": labels, "value": round(1000 * value)} for labels, value in results.items()],
            }
            for expression, results in expected.items()
        ],
    }
    file = directory / "promtool.test.yml"
    document = {"rule_files": ["rules.yml"], "evaluation_interval": f"{interval}s", "tests": [test]}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    _run(file)


def run_cases(directory: Path, cases: Path, *groups: Group, **expressions: str) -> None:
    """Fails unless the cases of a file of `promtool test rules` hold for these groups, as they are shipped.

    Args:
        directory: for the test's files.
        cases: the file, in which [RULES] stands for the rules.
        groups: whose rules it tests.
        expressions: PromQL by the word that stands for it in the file, escaped for where it stands.
    """
    text = cases.read_text(encoding="utf-8")
    for place, value in {"[RULES]": '["rules.yml"]', **expressions}.items():
        assert place in text
        text = text.replace(place, value)
    file = directory / cases.name
    file.write_text(text, encoding="utf-8")
    rules = recording_groups(*(group.name for group in groups))
    (directory / "rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    _run(file)


def _run(file: Path) -> None:
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
