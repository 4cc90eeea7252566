"""A repository of a test's own with the code of this one, in which the test creates versions."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.compose.stack import ROOT

# What is not code, or is created anew: a checkout's own environment, secrets, caches.
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".run", ".env", "vllm.env", "secrets", "backups", ".*_cache", "__pycache__", "pictures"
)


class Clone:
    """The repository. Its `.venv` is this one's, with the command line of the clone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT, root, symlinks=True, ignore=_LEFT_OUT)
        self.git("init", "--quiet", "--initial-branch=main")
        command = root / ".venv" / "bin" / "python"
        command.parent.mkdir(parents=True)
        source = root / "client" / "src"
        command.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" exec "{sys.executable}" "$@"\n')
        command.chmod(0o755)
        self.version("v0.1.0")
        (root / ".venv" / ".installed").touch()

    def git(self, *arguments: str) -> str:
        """Runs git; returns its output."""
        author = ("-c", "user.name=a test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", "-C", self.root, *author, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    def version(self, tag: str, *changes: tuple[str, str, str]) -> None:
        """Commits and tags the files after `changes`, each a file, a text in it and its replacement."""
        for name, old, new in changes:
            text = (self.root / name).read_text(encoding="utf-8")
            assert old in text
            (self.root / name).write_text(text.replace(old, new), encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", tag)
        self.git("tag", tag)
