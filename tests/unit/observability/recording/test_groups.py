"""What holds for every group of recording rules; the rules of a group have a test file of their own beside this one."""

import re
import shutil
import subprocess

import pytest
from tests.support.generated_files import ROOT, generated_yaml

from observability import recording
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


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_accepts_the_rules() -> None:
    command = ["promtool", "check", "rules", "--lint-fatal", str(ROOT / FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
