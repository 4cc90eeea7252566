"""The limit of open files, in processes of their own: a hard limit cannot be raised again."""

import subprocess
import sys

import pytest

SET_AND_ASK = """
import resource, sys
from launcher.open_files import raise_open_files_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
warning = raise_open_files_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], warning or "")
"""


def limits(soft: int, hard: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", SET_AND_ASK, str(soft), str(hard)], capture_output=True, text=True, check=True
    )
    limit, _, warning = done.stdout.rstrip("\n").partition(" ")
    return int(limit), warning


@pytest.mark.parametrize(("soft", "hard"), [(1_024, 4_096), (256, 10_000), (5_000, 5_000)])
def test_the_soft_limit_becomes_the_hard_one(soft: int, hard: int) -> None:
    assert limits(soft, hard) == (hard, "")


@pytest.mark.parametrize(("soft", "hard"), [(1_024, 1_024), (64, 4_095)])
def test_a_limit_that_stays_too_low_is_reported_by_name_and_number(soft: int, hard: int) -> None:
    limit, warning = limits(soft, hard)

    assert limit == hard
    assert warning.startswith(f"RLIMIT_NOFILE={hard} ")
    assert "raise the limit to 4096" in warning
