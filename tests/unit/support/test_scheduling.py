"""The order in which tests run beside each other, on small suites of their own."""

from pathlib import Path

import pytest

pytest_plugins = "pytester"

_CONFTEST = """
import os, sys, time
import pytest
sys.path.insert(0, {root!r})
from tests.support.scheduling import *

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    note(f"begin {{item.name}}")
    yield
    note(f"end {{item.name}}")

def note(text):
    with open({log!r}, "a") as file:
        file.write(f"{{text}} {{os.environ.get('PYTEST_XDIST_WORKER', 'main')}}\\n")
"""
_INI = """
[pytest]
addopts = -p no:asyncio
markers =
    serial: alone
    timing: alone, and once more
"""


@pytest.fixture
def log(pytester: pytest.Pytester) -> Path:
    """A project that notes when each test begins and ends."""
    log = pytester.path / "log"
    pytester.makeconftest(_CONFTEST.format(root=str(Path(__file__).resolve().parents[3]), log=str(log)))
    pytester.makeini(_INI)
    return log


def _run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


@pytest.mark.parametrize("workers", [0, 3])
def test_what_is_serial_runs_when_all_else_has_ended(pytester: pytest.Pytester, log: Path, workers: int) -> None:
    pytester.makepyfile(
        test_a="import pytest, time\n"
        "@pytest.mark.serial\n"
        "def test_serial(): pass\n"
        "@pytest.mark.parametrize('number', range(5))\n"
        "def test_beside(number): time.sleep(0.05)\n",
        test_b="import time\ndef test_slow(): time.sleep(1)\n",
        test_c="import pytest\n@pytest.mark.serial\ndef test_another(): pass\ndef test_quick(): pass\n",
    )

    _run(pytester, "-n", str(workers)).assert_outcomes(passed=9)

    noted = [line.rsplit(" ", 1) for line in log.read_text().splitlines()]
    assert sorted(text for text, _ in noted[-4:]) == [
        "begin test_another",
        "begin test_serial",
        "end test_another",
        "end test_serial",
    ]
    assert len({worker for _, worker in noted[-4:]}) == 1


def test_a_file_stays_together(pytester: pytest.Pytester, log: Path) -> None:
    for name in "abcd":
        pytester.makepyfile(
            **{f"test_{name}": f"import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_{name}(n): pass\n"}
        )

    _run(pytester, "-n", "2").assert_outcomes(passed=16)

    workers: dict[str, set[str]] = {}
    for line in log.read_text().splitlines():
        _, test, worker = line.split()
        workers.setdefault(test.partition("[")[0], set()).add(worker)
    assert {len(each) for each in workers.values()} == {1}


@pytest.mark.usefixtures("log")
def test_only_serial_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.serial\n@pytest.mark.parametrize('n', range(3))\ndef test_(n): pass"
    )

    _run(pytester, "-n", "3").assert_outcomes(passed=3)


@pytest.mark.usefixtures("log")
def test_a_test_of_times_that_fails_runs_once_more_and_the_closing_lines_say_so(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        "import pathlib, pytest\n"
        "def flip(name):\n"
        "    mark = pathlib.Path(name)\n"
        "    seen = mark.exists()\n"
        "    mark.touch()\n"
        "    return seen\n"
        "@pytest.mark.timing\n"
        "def test_late_once(): assert flip('one')\n"
        "@pytest.mark.timing\n"
        "def test_always_late(): assert False\n"
        "def test_no_second_chance(): assert flip('two')\n"
    )

    result = _run(pytester, "-n", "2")

    result.stdout.fnmatch_lines(["*2 failed, 1 passed, 2 rerun*"])
