import subprocess
import sys
from pathlib import Path

import pytest


def _lease(root: Path, word: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "glasshouse.stack.native.parent_watchdog"]
    return subprocess.run(command, cwd=root, input=word, capture_output=True, check=False)


def test_the_word_lets_the_stack_stay(root: Path) -> None:
    done = _lease(root, b"keep")
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("word", [b"", b"kee"])
def test_a_closed_pipe_becomes_down(root: Path, word: bytes) -> None:
    done = _lease(root, word)
    assert (done.returncode, done.stdout) == (0, b"Glasshouse is not running; nothing to end.\n")
