"""The stack without Docker: starts supervisord with the programs of supervisord.conf, and says what came of it."""

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glasshouse import configuration, secret_files
from glasshouse.configuration import url_host
from glasshouse.errors import GlasshouseError
from glasshouse.screen import duration, table
from glasshouse.settings import Settings
from glasshouse.stack import ports, shape
from glasshouse.stack.endpoint import Front, model, print_closing
from glasshouse.stack.native import logs, processes, readiness, shutdown, state, supervisor
from glasshouse.stack.native import parent_watchdog as lease

_FILES = 65_536
_FEW_BYTES = 64 * 1024
_WORDS = {"RUNNING": "running", "STARTING": "starting", "STOPPED": "off", "BACKOFF": "failing", "EXITED": "failing"}


def running(settings: Settings) -> state.State | None:
    """The native stack of this run directory, if it runs."""
    current = state.read(settings.run_dir)
    return current if current is not None and current.is_running() else None


def started(settings: Settings) -> state.State | None:
    """The native stack of this run directory if any process of it runs, with its supervisor or without."""
    current = state.read(settings.run_dir)
    if current is None:
        return None
    return current if current.is_running() or current.members(settings.root) else None


def engines(settings: Settings) -> dict[str, float]:
    """The engines that run, and since when, in seconds since 1970."""
    programs = supervisor.programs(settings.socket) if running(settings) is not None else None
    return {one.name: time.time() - one.uptime_s for one in programs or () if one.name == "llamacpp" and one.pid}


def show(settings: Settings, current: state.State) -> None:
    """Prints what runs: a row for each program, or each process where its supervisor does not tell of them."""
    known = supervisor.programs(settings.socket) if current.is_running() else None
    if known is not None:
        rows = [("PROGRAM", "STATE", "PID", "UP FOR")]
        for program in known:
            word = _WORDS.get(program.state, program.state.lower())
            uptime = duration(program.uptime_s) if program.pid else "-"
            rows.append((program.name, word, str(program.pid or "-"), uptime))
        print(f"{table(rows, indent='')}\n\n{current.url}/v1")
        if shutil.disk_usage(settings.run_dir).free < _FEW_BYTES:
            print(
                f"\nThe disk of {settings.shown(settings.run_dir)} is full: logs and metrics are lost.", file=sys.stderr
            )
        return
    trouble = "does not answer" if current.is_running() else "has been killed"
    members = [(str(one.pid), one.command) for one in current.members(settings.root)]
    print(table([("PID", "COMMAND"), *members], indent=""))
    print(f"\nsupervisord {trouble}, and these processes run without it: nothing restarts them. make down ends them.")


def front(current: state.State) -> Front:
    """Where it answers."""
    watched = (("Metrics", current.prometheus),) if current.prometheus else ()
    certificate = Path(current.certificate) if current.certificate else None
    return Front(current.url, certificate, current.url, certificate is None, watched)


def start(settings: Settings, chosen: shape.Shape, *, attach: bool) -> None:
    """Starts the stack and returns when it answers; with `attach`, when it has ended.

    Raises:
        GlasshouseError: It could not start; everything that had been started is ended again.
        KeyboardInterrupt: Ctrl-C came meanwhile; likewise.
    """
    if shutdown.stop(settings) is not None:
        print("Ended processes of an earlier start whose supervisor is gone.")
    configuration.write(settings)
    secret_files.print_made(settings, secret_files.init(settings))
    ports.check(wanted_ports(settings, chosen))
    log_ends = logs.sizes(settings.logs)
    _allow_files()
    with _lease(settings) as holder:
        try:
            current = _start(settings, chosen, log_ends)
            if attach:
                follow(settings, current)
        except BaseException:
            # Whatever it was, Ctrl-C included: nothing that was started stays.
            stop_aloud(settings)
            raise
        if attach:
            stop_aloud(settings)
        holder.communicate(lease.KEEP)


def _start(settings: Settings, chosen: shape.Shape, log_ends: dict[str, int]) -> state.State:
    prometheus = f"http://127.0.0.1:{settings.prometheus_port}" if chosen.prometheus else None
    plain = f"http://{url_host(settings.gateway_host)}:{settings.gateway_port}"
    url = f"https://127.0.0.1:{settings.https_port}" if chosen.nginx else plain
    with (settings.logs / "supervisord-start.log").open("wb") as output:
        supervisord = subprocess.Popen(  # noqa: S603 - our own configuration; nothing in it comes from a request
            [
                sys.executable,
                "-m",
                "glasshouse.stack.native.supervisord",
                "-c",
                str(settings.root / "supervisord.conf"),
            ],
            cwd=settings.root,
            env=_environment(settings, chosen),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C on the terminal reaches `up` alone, which then ends the rest in order
        )
    itself = processes.find(supervisord.pid)
    current = state.State(
        pid=supervisord.pid,
        started=itself.started if itself else None,
        boot=state.boot(),
        url=url,
        certificate=str(settings.certificate) if chosen.nginx else None,
        prometheus=prometheus,
        stop_grace=settings.stop_grace,
    )
    state.write(settings.run_dir, current)
    seconds = readiness.wait(settings, url, supervisord, log_ends)
    print(f"Glasshouse is up after {seconds:.1f} s.")
    entrance = front(current)
    print_closing(settings, entrance, model(settings, entrance))
    shape.print_shape("native", chosen.reason)
    return current


def _environment(settings: Settings, chosen: shape.Shape) -> dict[str, str]:
    """What the programs get: the person's own variables, the settings, and the names that supervisord.conf asks for."""
    return {
        **settings.environment,
        "SUPERVISOR_SOCKET": str(settings.socket),
        "LOGS_TWICE": str(settings.logs).replace("%", "%%"),
        "GLASSHOUSE_PYTHON": sys.executable,
        "NGINX_PROGRAM": str(chosen.nginx or "nginx"),
        "NGINX_AUTOSTART": "true" if chosen.nginx else "false",
        "NGINX_PREFIX": str(settings.run_dir / "nginx"),
        "NGINX_TLS": str(settings.certificate.parent),
        "NGINX_LISTEN": f"127.0.0.1:{settings.https_port}",
        "NGINX_GATEWAY": f"{url_host(settings.gateway_host)}:{settings.gateway_port}",
        "PROMETHEUS_PROGRAM": str(chosen.prometheus or "prometheus"),
        "PROMETHEUS_AUTOSTART": "true" if chosen.prometheus else "false",
        "PROMETHEUS_PORT": str(settings.prometheus_port),
        "PROMETHEUS_RETENTION": settings.prometheus_retention,
    }


def wanted_ports(settings: Settings, chosen: shape.Shape | None) -> tuple[ports.Port, ...]:
    """The ports that its programs listen on; those of nginx and Prometheus only where the shape has them."""
    local = "127.0.0.1"
    wanted = [
        ports.Port(settings.gateway_port, settings.gateway_host, "gateway", "GATEWAY_PORT"),
        ports.Port(settings.metrics_port, settings.metrics_host, "the gateway's metrics", "METRICS_PORT"),
        ports.Port(settings.llamacpp_port, local, "llama.cpp", "LLAMACPP_PORT"),
        ports.Port(settings.llamacpp_status_port, local, "llama.cpp's status", "LLAMACPP_STATUS_PORT"),
    ]
    if chosen is not None and chosen.nginx:
        wanted.append(ports.Port(settings.https_port, local, "nginx", "HTTPS_PORT"))
    if chosen is not None and chosen.prometheus:
        wanted.append(ports.Port(settings.prometheus_port, local, "Prometheus", "PROMETHEUS_PORT"))
    return tuple(wanted)


def follow(settings: Settings, current: state.State) -> None:
    """Shows the logs until the stack has ended, or Ctrl-C."""
    print("\nThe logs follow; Ctrl-C ends everything.\n", flush=True)
    logs.follow(settings.logs, None, until=lambda: not current.is_running())


def stop_aloud(settings: Settings) -> None:
    """Ends everything, and says so."""
    print("\nStopping what was started …", flush=True)
    try:
        ended = shutdown.stop(settings)
    except GlasshouseError as error:
        print(error, file=sys.stderr)
        return
    print("Stopped; no process is left." if ended else "Nothing had been started.", flush=True)


@contextmanager
def _lease(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends everything when this one is killed; see lease.py."""
    holder = subprocess.Popen(
        [sys.executable, "-m", "glasshouse.stack.native.parent_watchdog"],
        cwd=settings.root,
        env={**settings.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield holder
    finally:
        if holder.poll() is None:
            holder.communicate(lease.KEEP)


def _allow_files() -> None:
    """The programs get this process's limit: every open stream is a file, and the usual 1024 are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
