"""CPU accounting of children that use a known amount."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from benchmarks import processes

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
# Uses CPU time, has a child that uses some and ends, then one that uses some and lives; prints `ready` in the end.
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
    assert 0.85 <= used.cpu_s <= 1.6  # 0.9 were used; the starts of three interpreters are added, ticks may be missing
    assert 10 < used.rss_mb < 200


def test_idle_time_costs_nothing() -> None:
    code = "print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        before = processes.usage(child.pid)
        time.sleep(0.3)
        after = processes.usage(child.pid)
    assert after.cpu_s - before.cpu_s <= 0.02


def test_the_cpu_time_of_a_process_excludes_that_of_its_children() -> None:
    command = [sys.executable, "-c", FAMILY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        own, whole = processes.own_cpu_s(child.pid), processes.usage(child.pid).cpu_s
    assert 0.38 <= own <= whole - 0.45  # the children have used 0.5


def test_the_figures_of_this_process_agree_with_those_of_the_kernel() -> None:
    times = os.times()
    used = processes.usage(os.getpid())
    assert used.cpu_s >= times.user + times.system - 0.05
    assert used.rss_mb > 10


def test_a_process_that_has_ended_has_no_figures() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert processes.tree(child.pid) == []
    with pytest.raises(ProcessLookupError):
        processes.usage(child.pid)
    with pytest.raises(ProcessLookupError):
        processes.own_cpu_s(child.pid)
