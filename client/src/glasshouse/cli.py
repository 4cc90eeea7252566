"""The commands. Each reads the settings, does one thing, and says in one sentence what went wrong, if anything did."""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from glasshouse import alerting, key_commands, secret_files, smoke, start
from glasshouse.doctor import command
from glasshouse.errors import GlasshouseError, SettingsError
from glasshouse.files import who_owns
from glasshouse.maintenance import commands as maintenance
from glasshouse.settings import Settings, settings_here
from glasshouse.stack import detect, machine
from glasshouse.stack.compose import init_container

app = typer.Typer(
    help="Glasshouse: an LLM serving stack in which everything that happens can be seen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(key_commands.app, name="key")
app.add_typer(maintenance.app)


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
    start.up(settings_here(), attach=attach)


@app.command()
def down() -> None:
    """End everything that `up` started, and nothing else."""
    settings = settings_here()
    ended = [stack.down() for stack in reversed(detect.stacks(settings))]  # both: neither hides the other
    if not any(ended):
        _say_not_running(settings, "Glasshouse is not running; nothing to end.")


@app.command()
def ps() -> None:
    """Show what runs."""
    settings = settings_here()
    if (stack := detect.running(settings)) is not None:
        stack.print_status()
    else:
        _say_not_running(settings, "Glasshouse is not running. Start it: make up")


@app.command()
def doctor() -> None:
    """Examine this machine: what would keep the stack from starting or running well, each with its remedy."""
    command.report(settings_here())


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
    settings = settings_here()
    stack = detect.existing(settings) or detect.of_kind(settings, "native")  # whose logs outlive it
    stack.logs(service, lines, follow=follow)


@app.command()
def init(
    data: Annotated[Path | None, typer.Option(help="In the container: volumes that belong to the services.")] = None,
    uid: Annotated[int, typer.Option(envvar="GLASSHOUSE_UID", help="In the container: the services' user.")] = 10001,
    gid: Annotated[int, typer.Option(envvar="GLASSHOUSE_GID", help="In the container: their group.")] = 10001,
) -> None:
    """Make the secrets that are missing: keys, certificate. Shows where, never what."""
    settings = settings_here()
    made = init_container.init(settings, uid, gid, data) if data else secret_files.init(settings)
    secret_files.print_made(settings, made)
    if not made:
        print(f"All secrets are in {settings.shown(settings.secrets_dir)}/; nothing to make.")


@app.command(name="certificate")
def make_certificate() -> None:
    """Make the self-signed certificate if there is none, it ends soon, or it lacks TLS_DOMAIN or PUBLIC_ADDRESS."""
    settings = settings_here()
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
    alerting.lay_out(settings_here(), source, target)


@app.command(name="rotate-engine-key")
def rotate_engine_key() -> None:
    """Change the key between the gateway and the engines, without a restart and without losing a request."""
    settings = settings_here()
    made = secret_files.next_engine_key_made_at(settings)
    for stack in detect.stacks(settings):
        if late := [name for name, started in stack.engine_start_times.items() if int(started) < int(made)]:
            raise GlasshouseError(
                f"{' and '.join(late)} started before the next engine key was made, and would refuse it. Restart "
                f"first: {stack.restart_command(late)}"
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
    settings = settings_here()
    stack = detect.running(settings)
    endpoint = stack.endpoint if stack is not None else None
    if url is None:
        if endpoint is None:
            raise GlasshouseError("Glasshouse is not running here. Start it: make up. Or name another: --url")
        url = endpoint.url
    if ca_file is None and endpoint is not None and url.startswith(endpoint.url):
        ca_file = endpoint.certificate
    target = url.rstrip("/").removesuffix("/v1")
    smoke.run(smoke.Target(target, key_file or settings.api_key_file, ca_file))


def _say_not_running(settings: Settings, text: str) -> None:
    print(text)
    if settings.shape != "native" and machine.is_docker_forbidden(settings.given):
        print("In Docker it may: you may not ask it. Put sudo before the command.", file=sys.stderr)
