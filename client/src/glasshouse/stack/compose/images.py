"""The images that are built here: those that run are kept by a tag while another version takes their place."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from glasshouse.errors import BackupError

_LABEL = "com.docker.compose"
_OURS = "glasshouse/"

Ask = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Kept:
    """An image, by the name that Compose knows it under, and by its number."""

    reference: str
    number: str

    @property
    def repository(self) -> str:
        """The name without its tag."""
        return self.reference.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one project; `ask` asks docker."""

    ask: Ask
    project: str

    def keep(self, containers: Sequence[str]) -> tuple[Kept, ...]:
        """Gives a second tag to the images of our own that these containers run."""
        said = self.ask("inspect", "--format", "{{.Config.Image}} {{.Image}}", *containers)
        found = sorted({Kept(*line.split()) for line in said.splitlines()}, key=lambda one: one.reference)
        kept = tuple(one for one in found if one.reference.startswith(_OURS))
        for one in kept:
            self.ask("tag", one.number, f"{one.repository}:{self.project}-before")
        return kept

    def put_back(self, kept: Sequence[Kept]) -> None:
        """Gives their names back to them."""
        for one in kept:
            self.ask("tag", one.number, one.reference)
        self.forget(kept)

    def forget(self, kept: Sequence[Kept]) -> None:
        """Takes the second tag away."""
        for one in kept:
            with suppress(BackupError):
                self.ask("image", "rm", "--no-prune", f"{one.repository}:{self.project}-before")

    def accept(self, kept: Sequence[Kept], running: Sequence[str]) -> int:
        """Keeps these as those of the version before, and removes older ones; returns how many.

        Only images that were built for this project, under our names, and that no container uses.
        """
        for one in kept:
            self.ask("tag", one.number, f"{one.repository}:{self.project}-previous")
        self.forget(kept)
        used = set(self.ask("inspect", "--format", "{{.Image}}", *running).split()) | {one.number for one in kept}
        removed = 0
        for service in {one.repository.removeprefix(_OURS) for one in kept}:
            labels = (f"label={_LABEL}.project={self.project}", f"label={_LABEL}.service={service}")
            filters = [word for label in labels for word in ("--filter", label)]
            listed = self.ask("image", "ls", "--no-trunc", *filters, "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
            for line in listed.splitlines():
                number, reference = line.split()
                is_nameless = reference.startswith("<none>")
                if number not in used and (is_nameless or reference.startswith(f"{_OURS}{service}:")):
                    with suppress(BackupError):  # a container that has ended may still hold it
                        self.ask("image", "rm", number if is_nameless else reference)
                        removed += 1
        return removed
