"""The commands. Each reads the settings, does one thing, and reports a failure in one sentence."""

import sys
from dataclasses import asdict
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from glasshouse import alert_provisioning, smoke, start
from glasshouse.console import Json, print_error, print_json
from glasshouse.doctor import command
from glasshouse.drill import command as drills
from glasshouse.errors import ExitCode, GlasshouseError
from glasshouse.files import ownership_hint
from glasshouse.maintenance import commands as maintenance
from glasshouse.privacy_canary import service as privacy_canary
from glasshouse.privacy_canary.settings import load as load_canary_settings
from glasshouse.secrets import bootstrap, engine_key
from glasshouse.secrets import commands as keys
from glasshouse.settings import Settings, settings_here
from glasshouse.stack import detect, machine
from glasshouse.stack.base import ServiceStatus, Stack
from glasshouse.stack.compose import init_container

_RUN, _SECRETS, _MAINTAIN = "Run", "Keys and secrets", "Maintain"

app = typer.Typer(
    help="Run Glasshouse, a self-hosted LLM serving stack where you can see everything that happens.",
    epilog="Exit codes: 0 success; 1 failure, with the reason on standard error; 2 wrong arguments or settings; "
    "130 interrupted (Ctrl-C).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the command line and ends the process with an `ExitCode`."""
    if isinstance(sys.stdout, TextIOWrapper):  # as for standard error: no character ends a command half done
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="glasshouse")  # also for `python -m glasshouse`: completion is for that name
    except GlasshouseError as error:
        print_error(f"\n{error}" if "\n" in str(error) else str(error))
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        print_error(f"The command failed: {error}.{ownership_hint(error)}")
        raise SystemExit(ExitCode.FAILURE) from None
    except KeyboardInterrupt:
        raise SystemExit(ExitCode.INTERRUPTED) from None


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"glasshouse {version('glasshouse')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """See `app`."""


@app.command(rich_help_panel=_RUN)
def up(
    attach: Annotated[
        bool, typer.Option("--attach", help="Stay attached: show the logs, and stop everything on Ctrl-C.")
    ] = False,
) -> None:
    """Start the stack and wait until it answers."""
    start.up(settings_here(), attach=attach)


@app.command(rich_help_panel=_RUN)
def down() -> None:
    """Stop everything that `up` started, and nothing else."""
    settings = settings_here()
    ended = [stack.down() for stack in reversed(detect.stacks(settings))]  # both: neither hides the other
    if not any(ended):
        _print_not_running(settings, "Glasshouse is not running; nothing to end.")


@app.command(rich_help_panel=_RUN)
def ps(as_json: Json = False) -> None:
    """Show what is running."""
    settings = settings_here()
    stack = detect.running(settings)
    if as_json:
        print_json(_status(stack))
    elif stack is not None:
        stack.print_status()
    else:
        _print_not_running(settings, "Glasshouse is not running. Start it: make up")


@app.command(name="logs", rich_help_panel=_RUN)
def show_logs(
    service: Annotated[
        str | None,
        typer.Argument(
            help="One program, as `ps` names it, such as gateway, llamacpp, nginx or prometheus.", show_default="all"
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines as they come, until Ctrl-C.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many of the last lines of each log to show.")
    ] = 20,
) -> None:
    """Show the programs' logs."""
    settings = settings_here()
    stack = detect.existing(settings) or detect.of_kind(settings, "native")  # whose logs outlive it
    stack.logs(service, lines, follow=follow)


@app.command(rich_help_panel=_SECRETS)
def init(
    data: Annotated[
        Path | None, typer.Option(help="In the init container: the directory of the services' volumes.")
    ] = None,
    uid: Annotated[int, typer.Option(envvar="GLASSHOUSE_UID", help="In the container: the services' user ID.")] = 10001,
    gid: Annotated[
        int, typer.Option(envvar="GLASSHOUSE_GID", help="In the container: the services' group ID.")
    ] = 10001,
    as_json: Json = False,
) -> None:
    """Create the secrets that are missing: keys and certificate. Prints where they are, never what they are."""
    settings = settings_here()
    created = init_container.init(settings, uid, gid, data) if data else bootstrap.create_missing(settings)
    unchanged = f"All secrets are in {settings.shown(settings.secrets_dir)}/; nothing to do."
    _print_created(settings, created, unchanged, as_json=as_json)


@app.command(name="certificate", rich_help_panel=_SECRETS)
def make_certificate(as_json: Json = False) -> None:
    """Create or renew the self-signed certificate, if it is missing, expires soon, or lacks a name that is set.

    The names are TLS_DOMAIN and PUBLIC_ADDRESS.
    """
    settings = settings_here()
    created = bootstrap.ensure_certificate(settings)
    unchanged = f"The certificate {settings.shown(settings.certificate)} is good; nothing to do."
    _print_created(settings, created, unchanged, as_json=as_json)


@app.command(name="alerting", hidden=True)
def write_alert_provisioning(
    source: Annotated[Path, typer.Option(help="The directory grafana/ of the checkout.")],
    target: Annotated[Path, typer.Option(help="The directory of Grafana's alert provisioning.")],
) -> None:
    """In the container grafana-init: check the contact point, and write Grafana's alert provisioning."""
    alert_provisioning.write(settings_here(), source, target)


@app.command(name="privacy-canary", hidden=True)
def run_privacy_canary() -> None:
    """As a service: send prompts with a random token on schedule, and look for it in logs, metrics and annotations."""
    privacy_canary.serve(load_canary_settings())


@app.command(name="rotate-engine-key", rich_help_panel=_SECRETS)
def rotate_engine_key() -> None:
    """Rotate the key between the gateway and the engines, without a restart and without losing a request."""
    settings = settings_here()
    created = engine_key.next_created_at(settings)
    for stack in detect.stacks(settings):
        if late := [name for name, started in stack.engine_start_times.items() if int(started) < int(created)]:
            raise GlasshouseError(
                f"{' and '.join(late)} started before the next engine key was created, and would refuse it. Restart "
                f"first: {stack.restart_command(late)}"
            )
    engine_key.rotate(settings)
    print("The engine key has been rotated; the gateway uses the new one within 5 s. Engines accept the old one, too,")
    print("until they are restarted, which they must be before the next rotation.")


@app.command(name="smoke", rich_help_panel=_RUN)
def run_smoke(
    url: Annotated[
        str | None, typer.Option(help="The API's address, without /v1.", show_default="what `up` started")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the API key.", show_default="secrets/api-key")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="Certificate to trust.", show_default="the one that `up` created")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send a streamed and a plain chat; show the answers, TTFT and tokens per second."""
    settings = settings_here()
    stack = detect.running(settings)
    endpoint = stack.endpoint if stack is not None else None
    if url is None:
        if endpoint is None:
            raise GlasshouseError("Glasshouse is not running here. Start it: make up. Or name another: --url")
        url = endpoint.url
    if ca_file is None and endpoint is not None and url.startswith(endpoint.url):
        ca_file = endpoint.certificate
    address = url.rstrip("/").removesuffix("/v1")
    target = smoke.Target(address, key_file or settings.api_key_file, ca_file)
    if as_json:
        print_json(asdict(smoke.measure(target, write=lambda _: None)))
    else:
        smoke.run(target)


@app.command(rich_help_panel=_MAINTAIN)
def doctor(as_json: Json = False) -> None:
    """Check this machine for what keeps the stack from starting or running well, and name the remedies.

    Exits with 1 if a check fails.
    """
    command.report(settings_here(), as_json=as_json)


@app.command(rich_help_panel=_MAINTAIN)
def drill(
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this fault, by its name; repeatable.", show_default="all")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it begins.")] = False,
    show_list: Annotated[
        bool, typer.Option("--list", help="List the faults and their alerts, and do nothing.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Undo what a drill that was killed has left.")] = False,
    report: Annotated[Path | None, typer.Option(help="Also write the result to this file, as Markdown.")] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the password of Grafana's admin.", show_default="secrets/grafana/grafana-password"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put faults into the running stack and report when each alert fired, was delivered, and resolved.

    Exits with 1 if something was not seen. Everything is undone, also on Ctrl-C.
    """
    settings = settings_here()
    if show_list:
        drills.print_list()
    elif undo:
        drills.undo(settings)
    else:
        options = drills.Options(tuple(only or ()), yes, as_json, report, password_file)
        raise typer.Exit(drills.run(settings, options))


def _status(stack: Stack | None) -> dict[str, Any]:
    return {
        "running": stack is not None,
        "shape": stack.kind if stack is not None else None,
        "url": f"{stack.endpoint.public_url}/v1" if stack is not None else None,
        "services": [_service(service) for service in stack.services] if stack is not None else [],
    }


def _service(status: ServiceStatus) -> dict[str, Any]:
    uptime = None if status.uptime_s is None else round(status.uptime_s, 1)
    return {"name": status.name, "state": status.state, "pid": status.pid, "uptime_seconds": uptime}


def _print_created(
    settings: Settings, created: tuple[bootstrap.CreatedSecret, ...], unchanged: str, *, as_json: bool
) -> None:
    if as_json:
        print_json({"created": [{"path": str(each.path), "description": each.description} for each in created]})
        return
    bootstrap.print_created(settings, created)
    if not created:
        print(unchanged)


def _print_not_running(settings: Settings, text: str) -> None:
    print(text)
    if settings.shape != "native" and machine.is_docker_forbidden(settings.given):
        print("In Docker it may: you may not ask it. Put sudo before the command.", file=sys.stderr)


app.add_typer(keys.app, name="key", rich_help_panel=_SECRETS)
app.add_typer(maintenance.app)
