"""CPU accounting on children whose use is known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from benchmarks import processes

if TYPE_CHECKING:
    from pathlib import Path

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
# Burns, has a child that burns and ends, then one that burns and lives; says `ready` when all has been used.
FAMILY = f"""
import subprocess, sys, time
ended, living = {BURN.format(seconds=0.2)!r}, {BURN.format(seconds=0.3)!r} + "print(flush=True); time.sleep(60)"
subprocess.run([sys.executable, "-c", ended], check=True)
child = subprocess.Popen([sys.executable, "-c", living], stdout=subprocess.PIPE)
child.stdout.readline()
while time.process_time() < 0.4: pass
print("ready", flush=True)
sys.stdin.read()
child.kill()
"""


def test_cpu_of_a_process_its_living_child_and_its_ended_one_add_up() -> None:
    command = [sys.executable, "-c", FAMILY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        used = processes.usage(child.pid)
        family = processes.tree(child.pid)
    assert used.processes == len(family) == 2
    assert 0.85 <= used.cpu_s <= 1.6  # 0.9 were burnt; the starts of three interpreters come on top, ticks off
    assert 10 < used.rss_mb < 200


def test_idle_time_costs_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        time.sleep(0.3)
        before = processes.usage(child.pid)
        time.sleep(0.3)
        after = processes.usage(child.pid)
    assert after.cpu_s - before.cpu_s <= 0.02


def test_a_name_with_spaces_and_parentheses_confuses_nobody(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    (tmp_path / "a) S 1 (b").symlink_to(sleep)
    with subprocess.Popen([tmp_path / "a) S 1 (b", "60"]) as child:
        stat = processes.read_stat(child.pid)
        child.kill()
    assert stat is not None
    assert stat.parent == os.getpid()


def test_our_own_figures_agree_with_the_kernels_other_account() -> None:
    times = os.times()
    used = processes.usage(os.getpid())
    assert used.cpu_s >= times.user + times.system - 0.05
    assert used.rss_mb > 10


def test_a_process_that_is_gone_has_no_figures() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert processes.read_stat(child.pid) is None
    assert processes.tree(child.pid) == {}
    with pytest.raises(ProcessLookupError):
        processes.usage(child.pid)
