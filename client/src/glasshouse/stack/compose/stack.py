"""The stack in Docker: Compose starts and ends it, this module waits for it and says what came of it."""

import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from glasshouse import certificate, secret_layout
from glasshouse.errors import GlasshouseError, ImagesMissing, SettingsError, StackError
from glasshouse.screen import table
from glasshouse.settings import Kind, Settings
from glasshouse.stack import ports
from glasshouse.stack.compose import mounts
from glasshouse.stack.compose import readiness as composed_watch
from glasshouse.stack.compose.docker import Container, Docker
from glasshouse.stack.endpoint import Front, model, print_closing
from glasshouse.stack.shape import NAMES, Shape, print_shape, url

_EVERY = ("--profile", "*")  # a service of a profile that is off now may have been started with it
_HTTP, _HTTPS = 80, 443
_NATIVE_NAMES = {"gateway": "api"}
_INIT_LINES = 50


@dataclass(frozen=True, slots=True)
class Stack:
    """What there is of this checkout's project in Docker: running, or ended and not yet removed."""

    settings: Settings
    docker: Docker
    containers: tuple[Container, ...]

    @property
    def is_running(self) -> bool:
        """Whether something of it runs."""
        return any(one.is_running for one in self.containers)

    @property
    def kind(self) -> Kind:
        """The shape in which it was started."""
        return "gpu" if any(one.service == "vllm" for one in self.containers) else "cpu"

    @property
    def engines(self) -> dict[str, float]:
        """The engines that run, and since when, in seconds since 1970."""
        return {
            one.service: time.time() - composed_watch.age(one.started)
            for one in self.containers
            if one.is_running and one.service in composed_watch.ENGINES
        }

    @property
    def front(self) -> Front:
        """Where it answers."""
        return _front(self.settings, self.containers)

    def compose(self, *arguments: str) -> int:
        """Runs Compose with the files that the stack was started from."""
        files = self.containers[0].files
        if not files or not all(file.is_file() for file in files):
            files = self.docker.files(self.kind)
        return self.docker.compose(files, *arguments)

    def again(self, *, attach: bool) -> None:
        """What a second `up` does: replaces containers whose image or settings have changed, and touches no other.

        Raises:
            ImagesMissing: Docker can neither fetch nor build an image; all runs on as it was.
            StackError: It does not get ready; what runs is left running.
        """
        print(f"Glasshouse is running already: {NAMES[self.kind]}. What has changed since is replaced.", flush=True)
        _require_mounted(self.settings)
        mounts.require_readable(self.settings, self.kind)
        files = self.docker.files(self.kind)
        _get_images(self.docker, files, "Glasshouse runs on as it was.")
        _start(self.settings, self.docker, (self.kind, "as it was running already"), files)
        if attach:
            try:
                self.follow()
            finally:
                self.stop_aloud()

    def follow(self) -> None:
        """Shows the logs until everything has ended, or Ctrl-C."""
        print("\nThe logs follow; Ctrl-C ends everything.\n", flush=True)
        self.compose("logs", "--follow", "--tail", "20")

    def logs(self, service: str | None, lines: int, *, follow: bool) -> None:
        """Shows what the containers said.

        Raises:
            StackError: There is no such service; the text names those that there are.
        """
        name = _NATIVE_NAMES.get(service or "", service)
        known = [one.service for one in self.containers]
        if name is not None and name not in known:
            raise StackError(f"There is no log of {service!r}. There are: {', '.join(known)}.")
        self.compose(
            *_EVERY, "logs", "--tail", str(lines), *(("--follow",) if follow else ()), *((name,) if name else ())
        )

    def show(self) -> None:
        """Prints a row for each container, and the address."""
        rows = [("SERVICE", "STATE", "UP FOR"), *map(composed_watch.row, self.containers)]
        print(f"{table(rows, indent='')}\n\n{self.front.public_url}/v1")

    def down(self) -> None:
        """Ends and removes its containers and networks; secrets and volumes stay.

        Raises:
            StackError: Compose could not.
        """
        if self.compose(*_EVERY, "down", "--remove-orphans"):
            raise StackError("Docker could not end everything; the lines above say why.")
        names = ", ".join(one.service for one in self.containers if one.is_running)
        print(f"Stopped {names or 'what was left of it'}; no container is left. Secrets and volumes stay.")

    def stop_aloud(self) -> None:
        """Ends its containers, and says so; they stay for their logs' sake, until the next start or `down`."""
        print("\nStopping what was started …", flush=True)
        try:
            try:
                status = self.compose(*_EVERY, "stop")
            except KeyboardInterrupt:  # a second one: no more patience
                status = self.compose(*_EVERY, "kill")
        except GlasshouseError as error:
            print(error, file=sys.stderr)
            return
        print("Docker could not stop everything: make down" if status else "Stopped; nothing of it runs.", flush=True)


def find(settings: Settings) -> Stack | None:
    """What there is of this checkout in Docker; None where there is nothing."""
    docker = Docker(settings)
    own = tuple(one for one in docker.containers() if one.directory.resolve() == settings.root.resolve())
    return Stack(settings, docker, own) if own else None


def start(settings: Settings, chosen: Shape, *, attach: bool) -> None:
    """Starts the stack and returns when it answers; with `attach`, when it has ended.

    Raises:
        ImagesMissing: Docker can neither fetch nor build an image; nothing was started.
        GlasshouseError: It could not start; everything that had been started is stopped again.
        KeyboardInterrupt: Ctrl-C came meanwhile; likewise.
    """
    docker = Docker(settings)
    _check(settings, docker, chosen.kind)
    files = docker.files(chosen.kind)
    _get_images(docker, files, "Nothing had been started.")
    try:
        _start(settings, docker, (chosen.kind, chosen.reason), files)
        if attach and (stack := find(settings)):
            stack.follow()
    except BaseException:
        # Whatever it was, Ctrl-C included: nothing that was started goes on.
        _stop(settings)
        raise
    if attach:
        _stop(settings)


def _get_images(docker: Docker, files: tuple[Path, ...], interrupted: str) -> None:
    try:
        for what, arguments in (
            ("build", ("build",)),
            # After what is built here: services share it, and one that does not build it itself would be asked for.
            ("fetch", ("pull", "--policy", "missing", "--ignore-buildable")),
        ):
            if docker.compose(files, *arguments):
                raise ImagesMissing(f"Docker could not {what} all images; the lines above say why.")
    except KeyboardInterrupt:
        print(f"\n{interrupted}", flush=True)
        raise


def _start(settings: Settings, docker: Docker, chosen: tuple[Kind, str], files: tuple[Path, ...]) -> None:
    kind, reason = chosen
    restarts = composed_watch.Restarts.so_far(docker.containers())
    # Directories that are mounted and not there Docker would make as root's, or refuse; init sees to their owner.
    for name in secret_layout.DIRECTORIES:
        with suppress(FileExistsError, PermissionError):
            (settings.secrets_dir / name).mkdir(mode=0o700, parents=True)
    if docker.compose(files, "up", "--detach", "--no-build"):
        raise StackError(composed_watch.why_not(docker, docker.containers(), restarts))
    _print_init(settings, docker)
    entrance = _front(settings, docker.containers())
    seconds = composed_watch.wait(settings, docker, kind, entrance, restarts)
    print(f"Glasshouse is up {seconds:.1f} s after its containers.")
    print_closing(settings, entrance, model(settings, entrance))
    composed_watch.print_absent(docker.containers(), restarts)
    print_shape(kind, reason)


def _check(settings: Settings, docker: Docker, kind: Kind) -> None:
    """Refuses what Compose would only refuse in the middle of its work.

    Raises:
        StackError: Another checkout's stack has the same name, or a mount cannot be read by the services' user.
        SettingsError: The model lies where no container sees it.
        PortError: A port is taken.
    """
    others = {one.directory for one in docker.containers() if one.directory.resolve() != settings.root.resolve()}
    if others:
        raise StackError(
            f"Another checkout has a stack named {docker.project!r} in Docker: {', '.join(map(str, others))}. "
            f"End that one (make down there), or name this one: make up COMPOSE_PROJECT_NAME={docker.project}-2"
        )
    _require_mounted(settings)
    mounts.require_readable(settings, kind)
    file = settings.environment["LLAMACPP_MODEL"]
    if kind == "cpu" and not settings.llamacpp_model.startswith(f"{settings.root / 'models'}/"):
        raise SettingsError(
            f"LLAMACPP_MODEL={file!r} is not allowed in Docker, which sees only models/: move it there."
        )
    ports.check(wanted_ports(settings))


def wanted_ports(settings: Settings) -> tuple[ports.Port, ...]:
    """The ports that Docker publishes."""
    everywhere = "0.0.0.0"  # noqa: S104 - looked at
    return (
        ports.Port(settings.public_http_port, everywhere, "nginx", "HTTP_PORT", by_root=True),
        ports.Port(settings.public_https_port, everywhere, "nginx with TLS", "HTTPS_PORT", by_root=True),
    )


def _require_mounted(settings: Settings) -> None:
    """Refuses a place that no container sees, which would otherwise be changed by `make key` and read by nobody.

    Raises:
        SettingsError: KEYS_FILE or ENGINE_KEY_FILE names one.
    """
    for variable, path, place in (
        ("KEYS_FILE", settings.keys_file, "gateway/keys.yaml"),
        ("ENGINE_KEY_FILE", settings.engine_key_file, "engine/engine-key"),
    ):
        usual = settings.secrets_dir / place
        if path != usual:
            raise SettingsError(
                f"{variable}={settings.environment[variable]!r} is not allowed in Docker, where containers see "
                f"{settings.shown(usual.parent)}/: leave it out. That directory may be a link."
            )


def _front(settings: Settings, containers: tuple[Container, ...]) -> Front:
    published = next((one.published for one in containers if one.service == "nginx"), {})
    if _HTTPS in published:
        port = published[_HTTPS]
        local = "https://localhost" if port == _HTTPS else f"https://localhost:{port}"
    else:
        local = url(settings)
    public, is_trusted = local, False
    readable = True
    try:
        is_own = certificate.is_own(settings.certificate.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        is_own, readable = True, False
    outside = local.replace("localhost", settings.public_host or "localhost")
    if settings.environment.get("TLS_DOMAIN") and not is_own:
        public, is_trusted = outside, True
    if not readable:  # it belongs to another user: health is also told without TLS
        local = f"http://localhost:{published.get(_HTTP, settings.public_http_port)}"
    grafana = f"{outside}/grafana/ (user admin, password in {settings.shown(settings.grafana_password_file)})"
    elsewhere = (("Outside", f"{outside}/v1"),) if outside != public else ()
    watched = (("Grafana", grafana),) if any(one.service == "grafana" for one in containers) else ()
    return Front(local, settings.certificate if readable else None, public, is_trusted, (*elsewhere, *watched))


def _print_init(settings: Settings, docker: Docker) -> None:
    """What the containers that make the secrets said in this start; they call their directory `secrets/`."""
    found = {one.service: one for one in docker.containers()}
    for name in composed_watch.ONCE:
        if (one := found.get(name)) is not None:
            for line in docker.tail(one, _INIT_LINES, since=one.started):
                print(re.sub(r"\bsecrets/", f"{settings.shown(settings.secrets_dir)}/", line))


def _stop(settings: Settings) -> None:
    stack = find(settings)
    if stack is None or not stack.is_running:
        print("Nothing was left running.", flush=True)
    else:
        stack.stop_aloud()
