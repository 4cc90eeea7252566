"""The images that are built here: those that run keep a second tag while another version replaces them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from glasshouse.errors import StackError
from glasshouse.stack.compose.docker import LABEL

_OWN = "glasshouse/"

RunDocker = Callable[..., str]


@dataclass(frozen=True, slots=True)
class KeptImage:
    """An image, by the name that Compose knows it under, and by its ID."""

    reference: str
    id: str

    @property
    def repository(self) -> str:
        """The name without its tag."""
        return self.reference.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one project; `run_docker` runs docker and returns its output."""

    run_docker: RunDocker
    project: str

    def keep(self, containers: Sequence[str]) -> tuple[KeptImage, ...]:
        """Gives a second tag to those images of our own that these containers run."""
        output = self.run_docker("inspect", "--format", "{{.Config.Image}} {{.Image}}", *containers)
        found = sorted({KeptImage(*line.split()) for line in output.splitlines()}, key=lambda image: image.reference)
        kept = tuple(image for image in found if image.reference.startswith(_OWN))
        for image in kept:
            self.run_docker("tag", image.id, f"{image.repository}:{self.project}-before")
        return kept

    def put_back(self, kept: Sequence[KeptImage]) -> None:
        """Gives the images their names back."""
        for image in kept:
            self.run_docker("tag", image.id, image.reference)
        self.forget(kept)

    def forget(self, kept: Sequence[KeptImage]) -> None:
        """Removes the second tag."""
        for image in kept:
            with suppress(StackError):
                self.run_docker("image", "rm", "--no-prune", f"{image.repository}:{self.project}-before")

    def complete(self, kept: Sequence[KeptImage], running: Sequence[str]) -> int:
        """Keeps these as the previous version's, and removes older ones; returns how many.

        Only images that were built for this project, under our names, and that no container uses, are removed.
        """
        for image in kept:
            self.run_docker("tag", image.id, f"{image.repository}:{self.project}-previous")
        self.forget(kept)
        used = set(self.run_docker("inspect", "--format", "{{.Image}}", *running).split()) | {
            image.id for image in kept
        }
        removed = 0
        for service in {image.repository.removeprefix(_OWN) for image in kept}:
            labels = (f"label={LABEL}.project={self.project}", f"label={LABEL}.service={service}")
            filters = [word for label in labels for word in ("--filter", label)]
            listed = self.run_docker(
                "image", "ls", "--no-trunc", *filters, "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"
            )
            for line in listed.splitlines():
                image_id, reference = line.split()
                is_untagged = reference.startswith("<none>")
                if image_id not in used and (is_untagged or reference.startswith(f"{_OWN}{service}:")):
                    with suppress(StackError):  # a container that has ended may still hold it
                        self.run_docker("image", "rm", image_id if is_untagged else reference)
                        removed += 1
        return removed
