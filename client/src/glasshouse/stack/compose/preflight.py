"""What is checked before Compose is asked to start anything, so that it does not fail half-way."""

from glasshouse.errors import SettingsError, StackError
from glasshouse.settings import Kind, Settings
from glasshouse.stack import ports
from glasshouse.stack.compose import mounts
from glasshouse.stack.compose.docker import Docker


def check(settings: Settings, docker: Docker, kind: Kind) -> None:
    """Refuses a start that Compose would refuse later, in the middle of its work.

    Raises:
        StackError: Another checkout's stack has the same name, or a mount cannot be read by the services' user.
        SettingsError: The model or a secret lies where no container sees it.
        PortError: A port is taken.
    """
    here = settings.root.resolve()
    others = {each.working_dir for each in docker.containers() if each.working_dir.resolve() != here}
    if others:
        raise StackError(
            f"Another checkout has a stack named {docker.project!r} in Docker: {', '.join(map(str, others))}. "
            f"End that one (make down there), or name this one: make up COMPOSE_PROJECT_NAME={docker.project}-2"
        )
    check_mounts(settings, kind)
    file = settings.environment["LLAMACPP_MODEL"]
    if kind == "cpu" and not settings.llamacpp_model.startswith(f"{settings.root / 'models'}/"):
        raise SettingsError(
            f"LLAMACPP_MODEL={file!r} is not allowed in Docker, which sees only models/: move it there."
        )
    ports.check(published_ports(settings))


def check_mounts(settings: Settings, kind: Kind) -> None:
    """Refuses secrets that no container mounts, which `make key` would change and nobody read; and unreadable mounts.

    Raises:
        SettingsError: KEYS_FILE or ENGINE_KEY_FILE names a file outside of what is mounted.
        StackError: A mount cannot be read by the services' user.
    """
    for variable, path, name in (
        ("KEYS_FILE", settings.keys_file, "gateway/keys.yaml"),
        ("ENGINE_KEY_FILE", settings.engine_key_file, "engine/engine-key"),
    ):
        mounted = settings.secrets_dir / name
        if path != mounted:
            raise SettingsError(
                f"{variable}={settings.environment[variable]!r} is not allowed in Docker, where containers see "
                f"{settings.shown(mounted.parent)}/: leave it out. That directory may be a link."
            )
    mounts.require_readable(settings, kind)


def published_ports(settings: Settings) -> tuple[ports.Port, ...]:
    """The ports that Docker publishes."""
    everywhere = "0.0.0.0"  # noqa: S104 - only probed
    return (
        ports.Port(settings.public_http_port, everywhere, "nginx", "HTTP_PORT", by_root=True),
        ports.Port(settings.public_https_port, everywhere, "nginx with TLS", "HTTPS_PORT", by_root=True),
    )
