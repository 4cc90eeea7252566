"""The checkout that the stack runs from, according to git."""

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from glasshouse.errors import UpgradeError
from glasshouse.system import run

_TIMEOUT_S = 300.0  # a fetch may be slow


@dataclass(frozen=True, slots=True)
class Checkout:
    """A work tree. Its methods need git; the properties do without where it is missing."""

    root: Path

    @property
    def version(self) -> str:
        """The tag and the commits since; the package's own version where git does not say."""
        try:
            return self.git("describe", "--tags", "--always")
        except UpgradeError:
            return metadata.version("glasshouse")

    @property
    def commit(self) -> str:
        """The commit; empty where git does not say."""
        try:
            return self.resolve("HEAD")
        except UpgradeError:
            return ""

    @property
    def changed(self) -> tuple[str, ...]:
        """The files of the repository that differ from the commit; none where git does not say."""
        try:
            output = self.git("status", "--porcelain", "--untracked-files=no", "-z")
        except UpgradeError:
            return ()
        return tuple(line[3:] for line in output.split("\0") if line[2:3] == " ")

    @property
    def branch(self) -> str:
        """The branch; empty on none."""
        try:
            return self.git("symbolic-ref", "--quiet", "--short", "HEAD")
        except UpgradeError:
            return ""

    def fetch(self) -> str:
        """Fetches the tags of the remote; returns the error, or an empty text."""
        try:
            if self.git("remote"):
                self.git("fetch", "--quiet", "--tags")
        except UpgradeError as error:
            return str(error)
        return ""

    def newest_tag(self) -> str:
        """The highest version among the tags; empty where there is none."""
        tags = self.git("-c", "versionsort.suffix=-", "tag", "--list", "v[0-9]*", "--sort=-version:refname").split()
        released = [tag for tag in tags if "-" not in tag]  # v1.0-rc1 is for those who ask for it
        return next(iter(released), "")

    def resolve(self, name: str) -> str:
        """The commit that `name` means.

        Raises:
            UpgradeError: There is none.
        """
        return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")

    def describe(self, commit: str) -> str:
        """A commit by its tag, or its abbreviated hash."""
        return self.git("describe", "--tags", "--always", commit)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether all of `older` is in `newer`."""
        try:
            self.git("merge-base", "--is-ancestor", older, newer)
        except UpgradeError:
            return False
        return True

    def differ(self, old: str, new: str, *paths: str) -> bool:
        """Whether any of `paths` is not the same in two commits."""
        return bool(self.git("diff", "--name-only", old, new, "--", *paths))

    def require_switchable(self, commit: str) -> None:
        """Checks that no untracked file is in the way of one of `commit`.

        Raises:
            UpgradeError: One is; the text names it.
        """
        self.git("read-tree", "--dry-run", "-m", "-u", "HEAD", commit)

    def switch(self, to: str) -> None:
        """Checks out a branch, or a commit or tag without one.

        Raises:
            UpgradeError: git does not, and has changed nothing.
        """
        self.git("switch", "--quiet", *(("--detach",) if to != self._known_branch(to) else ()), to)

    def git(self, *arguments: str) -> str:
        """The output of a git command. What a person names stands behind --end-of-options, or is a commit.

        Raises:
            UpgradeError: It fails, or there is no git; the text holds its error.
        """
        try:
            done = run("git", "-C", str(self.root), *arguments, environment=os.environ, timeout_s=_TIMEOUT_S)
        except OSError as error:
            raise UpgradeError(f"git {arguments[0]}: {error}.") from error
        if done.status:
            raise UpgradeError(f"git {arguments[0]}: {done.error or f'status {done.status}'}")
        return done.stdout.strip("\n")

    def _known_branch(self, name: str) -> str:
        try:
            self.git("show-ref", "--verify", "--quiet", f"refs/heads/{name}")
        except UpgradeError:
            return ""
        return name
