"""Starts the stack with Compose, or applies to a running one what has changed, and waits until it answers."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from glasshouse.errors import ImagesMissing, StackError
from glasshouse.secrets import layout
from glasshouse.settings import Kind, Settings
from glasshouse.stack.compose import readiness
from glasshouse.stack.compose.docker import Docker
from glasshouse.stack.compose.endpoint import endpoint_of
from glasshouse.stack.endpoint import first_model, print_endpoint
from glasshouse.stack.shape import print_shape

_MAX_INIT_LINES = 50


def get_images(docker: Docker, files: Sequence[Path], when_interrupted: str) -> None:
    """Builds or fetches the images; `when_interrupted` is printed after Ctrl-C.

    Raises:
        ImagesMissing: Docker can neither fetch nor build one.
        KeyboardInterrupt: Ctrl-C came meanwhile.
    """
    try:
        for verb, arguments in (
            ("build", ("build",)),
            # After the build: services share an image, and one that does not build it would have it pulled.
            ("fetch", ("pull", "--policy", "missing", "--ignore-buildable")),
        ):
            if docker.compose(files, *arguments):
                raise ImagesMissing(f"Docker could not {verb} all images; the lines above say why.")
    except KeyboardInterrupt:
        print(f"\n{when_interrupted}", flush=True)
        raise


def apply(settings: Settings, docker: Docker, kind: Kind, reason: str, files: Sequence[Path]) -> None:
    """Has Compose create or replace what differs from its files, waits until it answers, and says where.

    Raises:
        StackError: It does not get ready; what runs is left running.
    """
    restarts = readiness.RestartCounts.before(docker.containers())
    # A mount whose directory is missing Docker would create as root's, or refuse; init sets their owner.
    for name in layout.DIRECTORIES:
        with suppress(FileExistsError, PermissionError):
            (settings.secrets_dir / name).mkdir(mode=0o700, parents=True)
    if docker.compose(files, "up", "--detach", "--no-build"):
        raise StackError(readiness.explain_failure(docker, docker.containers(), restarts))
    _print_init_logs(settings, docker)
    endpoint = endpoint_of(settings, docker.containers())
    seconds = readiness.wait(settings, docker, kind, endpoint, restarts)
    print(f"Glasshouse is up {seconds:.1f} s after its containers.")
    print_endpoint(settings, endpoint, first_model(settings, endpoint))
    readiness.print_missing(docker.containers(), restarts)
    print_shape(kind, reason)


def _print_init_logs(settings: Settings, docker: Docker) -> None:
    """Prints what the one-shot containers wrote in this start; in them the directory is called `secrets/`."""
    by_service = {container.service: container for container in docker.containers()}
    for name in readiness.ONE_SHOT:
        if (container := by_service.get(name)) is not None:
            for line in docker.tail(container, _MAX_INIT_LINES, since=container.started_at):
                print(re.sub(r"\bsecrets/", f"{settings.shown(settings.secrets_dir)}/", line))
