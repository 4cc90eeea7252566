"""The gateway's CPU cost as a ratio to nginx's, in one run: it must not rise by more than a quarter unnoticed.

`make bench-baseline` writes the ratios that are expected, after a change that is meant to cost more or less.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks import guard, native_programs
from benchmarks.targets.nginx import NGINX
from tests.support.program import free_port

pytestmark = [
    pytest.mark.serial,
    pytest.mark.timing,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not NGINX.exists(), reason="nginx is not installed (Debian: nginx-light)"),
]


def test_the_gateway_has_not_become_dearer(measured: Callable[[str], None]) -> None:
    try:
        native_programs.build()
    except native_programs.CompilerError as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(prefix="glasshouse-test-", dir="/dev/shm") as directory:
        (found,) = guard.measure(Path(directory), free_port())
    baseline = guard.read_baseline()
    for unit, ratio in found.ratios.items():
        measured(f"a {unit} costs {ratio:.2f} times nginx's CPU, {baseline[unit]:.2f} in the baseline")
    assert guard.regressions(found, baseline) == []
