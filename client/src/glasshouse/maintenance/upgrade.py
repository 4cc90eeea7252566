"""`make upgrade`: from one version of the project to another, and back if that one does not serve.

The code changes under this process, which goes on with what it has loaded: everything that a rollback needs is imported
before. What belongs to the new version (its packages, images, start) is left to its own `make`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glasshouse import smoke
from glasshouse.errors import GlasshouseError, UpgradeError
from glasshouse.maintenance import backup
from glasshouse.maintenance.archive import Archive
from glasshouse.maintenance.checkout import Checkout
from glasshouse.maintenance.packages import Packages
from glasshouse.maintenance.restore import BackedUpData
from glasshouse.make import make
from glasshouse.settings import Settings
from glasshouse.signals import interrupting, uninterrupted
from glasshouse.stack import detect
from glasshouse.stack.base import Rollout, Stack

_PACKAGES = ("requirements.lock", ":(glob)**/pyproject.toml")
_NOT_RUNNING = (
    "An upgrade is of a stack that serves, so that it can be seen to serve after it. Start it: make up. Or change the "
    "version without one: git switch --detach VERSION, make up"
)


@dataclass(frozen=True, slots=True)
class _Versions:
    """The old and the new version: commits, their names, and the branch or commit to go back to."""

    old: str
    old_name: str
    old_branch: str
    new: str
    new_name: str


def upgrade(settings: Settings, to: str | None, key_file: Path) -> None:
    """Changes the version of the stack that runs here.

    Args:
        settings: of the checkout.
        to: a tag, branch or commit; None for the newest version's tag.
        key_file: an API key, for the smoke test.

    Raises:
        GlasshouseError: It cannot begin, and nothing has changed; or it failed and was rolled back, or the text says
            what was not.
        KeyboardInterrupt: Ctrl-C (or SIGTERM, SIGHUP) came meanwhile; likewise.
    """
    checkout = Checkout(settings.root)
    with interrupting():
        versions = _versions(checkout, to)
        if versions is None:
            return
        stack = detect.supervised(settings)
        if stack is None:
            raise UpgradeError(_NOT_RUNNING)
        _step(f"From {versions.old_name} to {versions.new_name}: first, whether it serves now")
        endpoint = stack.endpoint
        smoke.run(smoke.Target(endpoint.url, key_file, endpoint.certificate))
        _step("Saving the data")
        with backup.exclusive(settings):
            saved = backup.write(settings, stack, backup.default_file(settings, "-before-upgrade"))
        attempt = _Attempt(settings, checkout, stack, stack.rollout(), versions, saved)
        try:
            attempt.run(key_file)
        except BaseException as error:
            print(f"\n{str(error) or 'Interrupted.'}\nGoing back to {versions.old_name} …", flush=True)
            with uninterrupted():
                outcome = attempt.roll_back()
            if isinstance(error, Exception):
                raise UpgradeError(outcome) from error
            print(outcome, flush=True)
            raise
        print(f"\nUpgraded from {versions.old_name} to {versions.new_name}. {attempt.rollout.complete()}".rstrip())
        attempt.packages.forget()


@dataclass(slots=True)
class _Attempt:
    """An upgrade under way, and how far it has come."""

    settings: Settings
    checkout: Checkout
    stack: Stack
    rollout: Rollout
    versions: _Versions
    saved: Archive
    has_packages: bool = False
    has_prepared: bool = False
    has_switched: bool = False

    @property
    def packages(self) -> Packages:
        return Packages(self.settings.root)

    def run(self, key_file: Path) -> None:
        """Starts the new version and tests it.

        Raises:
            GlasshouseError: A step failed.
        """
        new = self.versions.new_name
        if self.checkout.differ(self.versions.old, self.versions.new, *_PACKAGES):
            self.packages.keep()
            self.has_packages = True
        _step(f"Switching to {new}")
        self.has_prepared = True
        self.rollout.prepare()
        self.has_switched = True
        self.checkout.switch(self.versions.new)
        for target, variables in (("up", {"SHAPE": self.stack.kind}), ("smoke", {"KEY_FILE": str(key_file)})):
            _step(f"make {target}")
            if make(self.settings.root, target, **variables):
                raise UpgradeError(f"`make {target}` of {new} failed; the lines above say why.")

    def roll_back(self) -> str:
        """Undoes what has been done; returns a sentence about the outcome."""
        file = self.settings.shown(self.saved.path)
        restored: Sequence[str] = ()
        try:
            if self.has_switched:
                self.rollout.stop_new()
                self.checkout.switch(self.versions.old_branch)
            if self.has_packages:
                self.packages.put_back()
            if self.has_switched:
                restored = self.rollout.roll_back(BackedUpData(self.saved, self.stack.data))
            elif self.has_prepared:
                self.rollout.cancel()
        except (GlasshouseError, OSError) as error:
            return (
                f"The upgrade failed, and so did the rollback: {error} By hand: git switch {self.versions.old_branch} "
                f"(--detach for a commit), make down, make restore FILE={file} FORCE=1, make up"
            )
        data = f"data as of the backup {file}: {', '.join(restored)}" if restored else "no data had been touched"
        failed, old = f"The upgrade to {self.versions.new_name} failed.", self.versions.old_name
        return f"{failed} {old} is back, and serves: the old code and images; {data}."


def _versions(checkout: Checkout, to: str | None) -> _Versions | None:
    """The two versions; None, after saying so, where there is nothing to do.

    Raises:
        UpgradeError: There is no such version, or files would be lost.
    """
    if changed := checkout.changed:
        raise UpgradeError(
            f"These files are not as the version has them: {', '.join(changed)}. Keep your changes elsewhere "
            "(git stash, or compose.override.yaml and .env for settings) and try again."
        )
    old = checkout.resolve("HEAD")
    if trouble := checkout.fetch():
        print(f"The newest tags could not be fetched ({trouble}). Those that are here count.")
    name = to or checkout.newest_tag()
    if not name:
        raise UpgradeError("There is no version to go to: no tag like v1.2.3 is here. Name a commit: VERSION=…")
    try:
        new = checkout.resolve(name)
    except UpgradeError:
        raise UpgradeError(f"There is no version {name!r} here, neither a tag nor a commit.") from None
    if new == old or (to is None and checkout.is_ancestor(new, old)):
        print(f"{checkout.version} is here already, and no newer version. Nothing to do.")
        return None
    checkout.require_switchable(new)
    return _Versions(old, checkout.version, checkout.branch or old, new, checkout.describe(new))


def _step(text: str) -> None:
    print(f"\n{text}", flush=True)
