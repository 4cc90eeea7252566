"""The checkout that the stack runs from, as git knows it."""

import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from glasshouse.errors import UpgradeError

_ANSWER_S = 300.0  # tags may come from far away


@dataclass(frozen=True, slots=True)
class Checkout:
    """A work tree. Its questions need git; `version` and `changed` do without where it is missing."""

    root: Path

    @property
    def version(self) -> str:
        """The tag and what came after it; the package's own version where git does not tell."""
        try:
            return self.git("describe", "--tags", "--always")
        except UpgradeError:
            return metadata.version("glasshouse")

    @property
    def commit(self) -> str:
        """The commit; empty where git does not tell."""
        try:
            return self.resolve("HEAD")
        except UpgradeError:
            return ""

    @property
    def changed(self) -> tuple[str, ...]:
        """The files of the repository that are not as the commit has them; none where git does not tell."""
        try:
            said = self.git("status", "--porcelain", "--untracked-files=no", "-z")
        except UpgradeError:
            return ()
        return tuple(line[3:] for line in said.split("\0") if line[2:3] == " ")

    @property
    def branch(self) -> str:
        """The branch; empty on none."""
        try:
            return self.git("symbolic-ref", "--quiet", "--short", "HEAD")
        except UpgradeError:
            return ""

    def fetch(self) -> str:
        """Gets the tags of the remote; what went wrong, if anything did."""
        try:
            if self.git("remote"):
                self.git("fetch", "--quiet", "--tags")
        except UpgradeError as error:
            return str(error)
        return ""

    def newest_tag(self) -> str:
        """The highest version among the tags; empty where there is none."""
        tags = self.git("-c", "versionsort.suffix=-", "tag", "--list", "v[0-9]*", "--sort=-version:refname").split()
        released = [tag for tag in tags if "-" not in tag]  # v1.0-rc1 is taken by those who name it
        return next(iter(released), "")

    def resolve(self, name: str) -> str:
        """The commit that `name` means.

        Raises:
            UpgradeError: There is none.
        """
        return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")

    def describe(self, commit: str) -> str:
        """A commit as a person calls it."""
        return self.git("describe", "--tags", "--always", commit)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether all of `older` is in `newer`."""
        try:
            self.git("merge-base", "--is-ancestor", older, newer)
        except UpgradeError:
            return False
        return True

    def differ(self, one: str, other: str, *paths: str) -> bool:
        """Whether any of `paths` is not the same in two commits."""
        return bool(self.git("diff", "--name-only", one, other, "--", *paths))

    def require_room(self, commit: str) -> None:
        """Sees that no file of the person's own stands where `commit` has one.

        Raises:
            UpgradeError: One does; the text names it.
        """
        self.git("read-tree", "--dry-run", "-m", "-u", "HEAD", commit)

    def switch(self, to: str) -> None:
        """Checks out a branch, or a commit or tag without one.

        Raises:
            UpgradeError: git does not, and has changed nothing.
        """
        self.git("switch", "--quiet", *(("--detach",) if to != self._known_branch(to) else ()), to)

    def git(self, *arguments: str) -> str:
        """What git answers.

        Raises:
            UpgradeError: It refuses, or is not there; the text says what it said.
        """
        try:
            done = subprocess.run(  # noqa: S603 - what a person names stands behind --end-of-options, or is a commit
                ["git", "-C", str(self.root), *arguments],  # noqa: S607 - the person's own git
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_ANSWER_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UpgradeError(f"git {arguments[0]}: {error}.") from error
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split()) or f"status {done.returncode}"
            raise UpgradeError(f"git {arguments[0]}: {said}")
        return done.stdout.strip("\n")

    def _known_branch(self, name: str) -> str:
        try:
            self.git("show-ref", "--verify", "--quiet", f"refs/heads/{name}")
        except UpgradeError:
            return ""
        return name
