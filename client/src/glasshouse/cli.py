"""The commands. Each reads the settings, does one thing, and says in one sentence what went wrong, if anything did."""

import os
import sys
from contextlib import suppress
from datetime import UTC, date, datetime
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from glasshouse import (
    alerting,
    composed,
    container,
    keys,
    logs,
    machine,
    native,
    secret_files,
    secret_layout,
    shutdown,
    smoke,
    start,
)
from glasshouse.doctor import command
from glasshouse.errors import GlasshouseError, KeysError, SecretsError, SettingsError
from glasshouse.files import who_owns
from glasshouse.front import Front
from glasshouse.maintenance import commands as maintenance
from glasshouse.screen import duration, table
from glasshouse.settings import Settings, find_root, load

app = typer.Typer(
    help="Glasshouse: an LLM serving stack in which everything that happens can be seen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
key_app = typer.Typer(help="API keys: make one, list them, revoke one.", no_args_is_help=True)
app.add_typer(key_app, name="key")
app.add_typer(maintenance.app)


class Role(StrEnum):
    """What a key may do."""

    USER = "user"
    ADMIN = "admin"


def main() -> None:
    """Runs the command line; the process ends with status 0, 1 (it did not work), 2 (misuse) or 130 (Ctrl-C)."""
    if isinstance(sys.stdout, TextIOWrapper):  # as standard error has it: no character ends a command half done
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except GlasshouseError as error:
        print(f"\n{error}" if "\n" in str(error) else str(error), file=sys.stderr)
        raise SystemExit(2 if isinstance(error, SettingsError) else 1) from None
    except OSError as error:
        print(f"That did not work: {error}.{who_owns(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@app.command()
def up(
    attach: Annotated[
        bool, typer.Option("--attach", help="Stay, show the logs, and end everything on Ctrl-C.")
    ] = False,
) -> None:
    """Start the stack and wait until it answers."""
    start.up(_settings(), attach=attach)


@app.command()
def down() -> None:
    """End everything that `up` started, and nothing else."""
    settings = _settings()
    stack = composed.find(settings)
    if stack is not None:
        stack.down()
    ended = shutdown.stop(settings)
    if ended is None:
        if stack is None:
            _say_not_running(settings, "Glasshouse is not running; nothing to end.")
        return
    if ended.killed:
        print("Had to be killed: " + ", ".join(ended.killed))
    names = ", ".join(ended.programs) or "what was left of it"
    print(f"Stopped {names} in {duration(ended.seconds)}; no process is left.")


@app.command()
def ps() -> None:
    """Show what runs."""
    settings = _settings()
    if (current := native.started(settings)) is not None:
        native.show(settings, current)
    elif (stack := composed.find(settings)) is not None and stack.is_running:
        stack.show()
    else:
        _say_not_running(settings, "Glasshouse is not running. Start it: make up")


@app.command()
def doctor() -> None:
    """Examine this machine: what would keep the stack from starting or running well, each with its remedy."""
    command.report(_settings())


@app.command(name="logs")
def show_logs(
    service: Annotated[
        str | None,
        typer.Argument(help="One program: gateway, llamacpp, nginx, prometheus; in Docker as `ps` names it."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing new lines until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines of each.")] = 20,
) -> None:
    """Show what the programs said."""
    settings = _settings()
    if native.started(settings) is None and (stack := composed.find(settings)) is not None:
        with suppress(KeyboardInterrupt):
            stack.logs(service, lines, follow=follow)
        return
    logs.show(settings.logs, service, lines)
    if follow:
        with suppress(KeyboardInterrupt):  # the usual end of following
            logs.follow(settings.logs, service, until=lambda: False)


@app.command()
def init(
    data: Annotated[Path | None, typer.Option(help="In the container: volumes that belong to the services.")] = None,
    uid: Annotated[int, typer.Option(envvar="GLASSHOUSE_UID", help="In the container: the services' user.")] = 10001,
    gid: Annotated[int, typer.Option(envvar="GLASSHOUSE_GID", help="In the container: their group.")] = 10001,
) -> None:
    """Make the secrets that are missing: keys, certificate. Shows where, never what."""
    settings = _settings()
    made = container.init(settings, uid, gid, data) if data else secret_files.init(settings)
    secret_files.print_made(settings, made)
    if not made:
        print(f"All secrets are in {settings.shown(settings.secrets_dir)}/; nothing to make.")


@app.command(name="certificate")
def make_certificate() -> None:
    """Make the self-signed certificate if there is none, it ends soon, or it lacks TLS_DOMAIN or PUBLIC_ADDRESS."""
    settings = _settings()
    made = secret_files.make_certificate(settings)
    secret_files.print_made(settings, made)
    if not made:
        print(f"The certificate {settings.shown(settings.certificate)} is good; nothing to make.")


@app.command(name="alerting", hidden=True)
def lay_out_alerting(
    source: Annotated[Path, typer.Option(help="The directory `grafana` of the checkout.")],
    target: Annotated[Path, typer.Option(help="Where Grafana reads its alerts' files.")],
) -> None:
    """In the container: check who is told of alerts, and lay out the files that tell Grafana."""
    alerting.lay_out(_settings(), source, target)


@app.command(name="rotate-engine-key")
def rotate_engine_key() -> None:
    """Change the key between the gateway and the engines, without a restart and without losing a request."""
    settings = _settings()
    made = secret_files.next_engine_key_made_at(settings)
    stack = composed.find(settings)
    since = native.engines(settings) | (stack.engines if stack is not None else {})
    if late := [name for name, started in since.items() if int(started) < int(made)]:
        raise GlasshouseError(
            f"{' and '.join(late)} started before the next engine key was made, and would refuse it. Restart first: "
            + ("make down, make up" if stack is None else f"docker compose restart {' '.join(late)}")
        )
    secret_files.rotate_engine_key(settings)
    print("The engine key has been rotated; the gateway takes the new one within 5 s. Engines accept the old one, too,")
    print("until they are restarted, which they must be before the next rotation.")


@app.command(name="smoke")
def run_smoke(
    url: Annotated[str | None, typer.Option(help="The API's address, without /v1 [default: what `up` started]")] = None,
    key_file: Annotated[Path | None, typer.Option(help="File with the key [default: secrets/api-key]")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificate to trust [default: the one `up` made]")] = None,
) -> None:
    """Send a streamed and a plain chat; show answers, TTFT and tokens per second."""
    settings = _settings()
    front = _front(settings)
    if url is None:
        if front is None:
            raise GlasshouseError("Glasshouse is not running here. Start it: make up. Or name another: --url")
        url = front.url
    if ca_file is None and front is not None and url.startswith(front.url):
        ca_file = front.certificate
    target = url.rstrip("/").removesuffix("/v1")
    smoke.run(smoke.Target(target, key_file or settings.api_key_file, ca_file))


@key_app.command(name="add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who it is for: a-z, 0-9, _ and -. Shown in logs and metrics.")],
    role: Annotated[Role, typer.Option(help="user may call models; admin may also see the stack's state.")] = Role.USER,
    expires: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Last day on which it is good (UTC).")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model that it may use; repeat it. Without: all.")] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="A second key for a name that has one.")] = False,
) -> None:
    """Make a key. It goes to standard output, once; only its hash is kept."""
    settings = _settings()
    key = keys.new_key()
    models = tuple(model) if model else None
    entry = keys.Entry(name, keys.digest(key), role.value, _day(expires), models)
    file = secret_layout.keys_file(settings)
    _make_directory(settings, file.parent)
    keys.add(file, entry, rotate=rotate)
    print(key)
    note = f"The key of {name!r}, shown this once; the gateway takes it within 5 s. Its hash is in "
    print(note + settings.shown(file), file=sys.stderr)


@key_app.command(name="list")
def list_keys() -> None:
    """List the keys: names and what they may do, no secrets."""
    settings = _settings()
    entries = keys.read(secret_layout.keys_file(settings))
    if not entries:
        print("There are no keys yet. make up makes the first one; make key NAME=… makes more.")
        return
    today = datetime.now(UTC).date()
    rows = [("NAME", "ROLE", "STATE", "EXPIRES", "MODELS", "SHA-256")]
    rows += [
        (
            entry.name,
            entry.role,
            entry.state(today),
            entry.expires.isoformat() if entry.expires else "-",
            ", ".join(entry.models) if entry.models is not None else "all",
            entry.sha256[:8],
        )
        for entry in entries
    ]
    print(table(rows, indent=""))


@key_app.command(name="revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="Every key of this name ends.")]) -> None:
    """Revoke a key. The gateway refuses it within 5 s."""
    count = keys.revoke(secret_layout.keys_file(_settings()), name)
    print(f"Revoked {count} key(s) of {name!r}; refused within 5 s." if count else f"{name!r} was revoked already.")


def _settings() -> Settings:
    try:
        root = find_root(Path.cwd())
    except SettingsError:
        if not Path(os.environ.get("SECRETS_DIR", "")).is_absolute():
            raise
        root = Path.cwd()  # the init image has no checkout, and keys need none
    return load(root, os.environ)


def _front(settings: Settings) -> Front | None:
    """Where the stack answers that runs here, natively or in Docker."""
    current = native.started(settings)
    if current is not None:
        return native.front(current)
    stack = composed.find(settings)
    return stack.front if stack is not None and stack.is_running else None


def _say_not_running(settings: Settings, text: str) -> None:
    print(text)
    if settings.shape != "native" and machine.is_docker_forbidden(settings.given):
        print("In Docker it may: you may not ask it. Put sudo before the command.", file=sys.stderr)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise KeysError(f"The date {text!r} is not allowed: write it YYYY-MM-DD.") from error
    if day < datetime.now(UTC).date():
        raise KeysError(f"The date {text!r} is past: the key would never be good.")
    return day


def _make_directory(settings: Settings, directory: Path) -> None:
    try:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret_layout.make_directory(settings, directory)
    except OSError as error:
        raise SecretsError(f"{settings.shown(directory)} cannot be made: {error}.") from error
