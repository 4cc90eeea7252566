"""`make upgrade`: from one version of the project to another, and back if that one does not serve.

The code changes under this process, which goes on with what it has loaded: all that the way back needs is imported
here, before. What is the other version's (its packages, images, start) is left to its own `make`.
"""

from dataclasses import dataclass
from pathlib import Path

from glasshouse import smoke
from glasshouse.errors import GlasshouseError, UpgradeError
from glasshouse.maintenance import backup, exchange
from glasshouse.maintenance.archive import Archive
from glasshouse.maintenance.checkout import Checkout
from glasshouse.maintenance.exchange import Exchange
from glasshouse.maintenance.packages import Packages
from glasshouse.make import make
from glasshouse.settings import Settings
from glasshouse.signals import interrupting, uninterrupted

_PACKAGES = ("requirements.lock", ":(glob)**/pyproject.toml")


@dataclass(frozen=True, slots=True)
class _Versions:
    """Where from and where to: commits, what a person calls them, and the branch or commit to go back to."""

    old: str
    old_name: str
    home: str
    new: str
    new_name: str


def upgrade(settings: Settings, to: str | None, key_file: Path) -> None:
    """Changes the version of the stack that runs here.

    Args:
        settings: whose.
        to: a tag, branch or commit; None for the newest version's tag.
        key_file: an API key, to see whether it serves.

    Raises:
        GlasshouseError: It cannot begin, and nothing has changed; or it failed, and all is as before, or the text says
            what is not.
        KeyboardInterrupt: Ctrl-C (or SIGTERM, SIGHUP) came meanwhile; likewise.
    """
    checkout = Checkout(settings.root)
    with interrupting():
        versions = _versions(checkout, to)
        if versions is None:
            return
        stack = exchange.of(settings)
        _step(f"From {versions.old_name} to {versions.new_name}: first, whether it serves now")
        front = stack.front()
        smoke.run(smoke.Target(front.url, key_file, front.certificate))
        _step("Saving the data")
        with backup.alone(settings):
            usual = backup.usual_file(settings, "-before-upgrade")
            saved = backup.write(settings, stack.services, usual)
        attempt = _Attempt(settings, checkout, stack, versions, saved)
        try:
            attempt.forward(key_file)
        except BaseException as error:
            print(f"\n{str(error) or 'Interrupted.'}\nGoing back to {versions.old_name} …", flush=True)
            with uninterrupted():
                said = attempt.back()
            if isinstance(error, Exception):
                raise UpgradeError(said) from error
            print(said, flush=True)
            raise
        print(f"\nUpgraded from {versions.old_name} to {versions.new_name}. {stack.accept()}".rstrip())
        attempt.packages.forget()


@dataclass(slots=True)
class _Attempt:
    """An upgrade under way, and how far it has come."""

    settings: Settings
    checkout: Checkout
    stack: Exchange
    versions: _Versions
    saved: Archive
    has_packages: bool = False
    has_prepared: bool = False
    has_switched: bool = False

    @property
    def packages(self) -> Packages:
        return Packages(self.settings.root)

    def forward(self, key_file: Path) -> None:
        """Goes to the new version.

        Raises:
            GlasshouseError: A step failed.
        """
        new = self.versions.new_name
        if self.checkout.differ(self.versions.old, self.versions.new, *_PACKAGES):
            self.packages.keep()
            self.has_packages = True
        _step(f"Switching to {new}")
        self.has_prepared = True
        self.stack.prepare()
        self.has_switched = True
        self.checkout.switch(self.versions.new)
        for target, variables in (("up", {"SHAPE": self.stack.services.kind}), ("smoke", {"KEY_FILE": str(key_file)})):
            _step(f"make {target}")
            if make(self.settings.root, target, **variables):
                raise UpgradeError(f"`make {target}` of {new} failed; the lines above say why.")

    def back(self) -> str:
        """Takes back what has been done; a sentence about how it went."""
        file = self.settings.shown(self.saved.path)
        restored: tuple[str, ...] = ()
        try:
            if self.has_switched:
                self.stack.leave()
                self.checkout.switch(self.versions.home)
            if self.has_packages:
                self.packages.put_back()
            if self.has_switched:
                restored = self.stack.back(self.saved)
            elif self.has_prepared:
                self.stack.undo()
        except (GlasshouseError, OSError) as error:
            return (
                f"The upgrade failed, and so did the way back: {error} By hand: git switch {self.versions.home} "
                f"(--detach for a commit), make down, make restore FILE={file} FORCE=1, make up"
            )
        data = f"data as of the backup {file}: {', '.join(restored)}" if restored else "no data had been touched"
        failed, old = f"The upgrade to {self.versions.new_name} failed.", self.versions.old_name
        return f"{failed} {old} is back, and serves: code and images of before; {data}."


def _versions(checkout: Checkout, to: str | None) -> _Versions | None:
    """Where from and where to; None, with a sentence, where there is nothing to do.

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
    checkout.require_room(new)
    return _Versions(old, checkout.version, checkout.branch or old, new, checkout.describe(new))


def _step(text: str) -> None:
    print(f"\n{text}", flush=True)
