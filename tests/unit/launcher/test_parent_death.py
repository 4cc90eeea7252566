import os
import subprocess
import sys


def test_without_its_parent_nothing_is_started() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "launcher.parent_death", "1", "9", "echo", "started"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", "The launcher is gone.\n")


def test_with_its_parent_it_becomes_the_program() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "launcher.parent_death", str(os.getpid()), "9", "echo", "started"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert answer.stdout == "started\n"
