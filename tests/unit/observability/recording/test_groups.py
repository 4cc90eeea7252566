"""What holds for every group of recording rules; the rules of a group have a test file of their own beside this one."""

import re
import shutil
import subprocess

import pytest
from tests.support.generated_files import ROOT, generated_yaml

from observability import dashboards, downsampling, recording
from observability.recording import downsampled

FILE = "prometheus/rules/recording.yml"
_USED = re.compile(r"([A-Za-z_:][\w:]*)\{")


def test_prometheus_reads_the_rules_of_all_groups() -> None:
    assert recording.rules() == generated_yaml(FILE)
    assert "rules/recording.yml" in generated_yaml("prometheus/prometheus.gpu.yml")["rule_files"]


def test_names_are_unique() -> None:
    groups = recording.all_groups()
    assert len({group.name for group in groups}) == len(groups)
    assert len(recording.series()) == sum(len(group.series) for group in groups)


def test_a_rule_uses_only_the_rules_of_its_group_that_come_before_it() -> None:
    """Groups are evaluated at times of their own: what another group recorded is up to an interval older.

    Long steps are made of what others record, later than these are stored.
    """
    *groups, long_steps = recording.all_groups()
    assert long_steps == downsampled.group()
    for group in groups:
        before: set[str] = set()
        for name, expr in group.series.items():
            assert set(_USED.findall(expr)) & recording.series().keys() <= before, name
            before.add(name)


def test_a_query_reads_the_steps_of_a_single_group() -> None:
    """Those of two groups are up to a step apart: their ratio would be wrong where traffic comes and goes."""
    *groups, _ = recording.all_groups()
    group_of = {name: group.name for group in groups for short in group.series for name in _with_long_steps(short)}
    several = set()
    for dashboard in dashboards.all_dashboards():
        for panel in dashboard.panels:
            for query in panel.queries:
                if len({group_of[name] for name in _USED.findall(query.expr) if name in group_of}) > 1:
                    several.add(panel.title)
    # No ratios of two counts: a difference of medians, and what came in a stretch over a price, which stays.
    assert several == {"Latency added by the gateway", "Cost accounted for"}


def test_no_graph_has_points_between_the_steps_of_what_it_shows() -> None:
    """A point whose interval has no step is empty, and the line is dotted or gone."""
    too_short = {
        f"{panel.title}: {name}"
        for dashboard in dashboards.all_dashboards()
        for panel in dashboard.panels
        for query in panel.queries
        for name in _USED.findall(query.expr)
        if "[$__interval]" in query.expr and downsampling.is_downsampled(name)
        if name in recording.series() and downsampling.step_seconds(name) > panel.step_seconds
        if panel.kind != "heatmap"  # whose columns are a minute wide at least
    }
    assert too_short == set()


def _with_long_steps(name: str) -> list[str]:
    if not downsampling.is_downsampled(name):
        return [name]
    of_all = [downsampling.of_all(name)] if downsampling.split_by(name) else []
    return [name, downsampling.long_steps(name), *of_all]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_accepts_the_rules() -> None:
    command = ["promtool", "check", "rules", "--lint-fatal", str(ROOT / FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
