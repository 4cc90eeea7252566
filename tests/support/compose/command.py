"""Runs `make` in the repository, for a composed stack of a test's own."""

import subprocess
from pathlib import Path

from tests.support.compose.stack import ROOT, Stack


def make(stack: Stack, *words: str, root: Path = ROOT, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs a target as its operator does, with the settings in the environment."""
    variables = {
        "COMPOSE_PROJECT_NAME": stack.name,
        "COMPOSE_FILE": ":".join(stack.files),
        "SHAPE": "cpu",
        "RUN_DIR": str(stack.directory / "run"),
    }
    done = subprocess.run(
        ["make", *words],
        cwd=root,
        env={**stack.environment, "GLASSHOUSE_UID": "10001", "GLASSHOUSE_GID": "10001", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def private(path: Path) -> bool:
    """Whether only its owner has access to a file."""
    return not path.stat().st_mode & 0o077
