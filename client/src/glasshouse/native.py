"""The stack without Docker: starts supervisord with the programs of supervisord.conf, and says what came of it."""

import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from glasshouse import (
    configuration,
    lease,
    logs,
    ports,
    processes,
    readiness,
    secret_files,
    shape,
    shutdown,
    state,
)
from glasshouse.api import Api
from glasshouse.configuration import url_host
from glasshouse.errors import ApiError, GlasshouseError, StackError
from glasshouse.files import locked
from glasshouse.screen import table
from glasshouse.settings import Settings

_FILES = 65_536


def up(settings: Settings, *, attach: bool) -> None:
    """Starts the stack and returns when it answers; with `attach`, when it has ended.

    Raises:
        GlasshouseError: It could not start; everything that had been started is ended again.
        KeyboardInterrupt: Ctrl-C (or SIGTERM, SIGHUP) came meanwhile; likewise.
    """
    with _signals_interrupt(), ExitStack() as held:
        settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            held.enter_context(locked(settings.run_dir / "up.lock", wait=False))
            starting_elsewhere = False
        except BlockingIOError:
            starting_elsewhere = True
        current = state.read(settings.run_dir)
        if current is None or not current.is_running():
            if starting_elsewhere:
                raise StackError("Another `make up` is starting this stack. To end it: make down")
            _start_and_attach(settings, attach=attach)
            return
        model = _model(settings, current)
        if starting_elsewhere and model is None:
            raise StackError("Another `make up` is starting this stack. To end it: make down")
        print("Glasshouse is running already.")
        _print_closing(settings, current, model)
        if attach:
            try:
                _follow(settings, current)
            finally:
                _stop_aloud(settings)


def _start_and_attach(settings: Settings, *, attach: bool) -> None:
    chosen = shape.choose(settings)
    print("Glasshouse starts:\n" + table([(one.part, f"{one.chosen} ({one.reason})") for one in chosen.choices]))
    if shutdown.stop(settings) is not None:
        print("Ended processes of an earlier start whose supervisor is gone.")
    print_made(settings, secret_files.init(settings))
    ports.check(_ports(settings, chosen))
    configuration.write(settings)
    log_ends = logs.sizes(settings.logs)
    with _lease(settings) as holder:
        try:
            current = _start(settings, chosen, log_ends)
            if attach:
                _follow(settings, current)
        except BaseException:
            # Whatever it was, Ctrl-C included: nothing that was started stays.
            _stop_aloud(settings)
            raise
        if attach:
            _stop_aloud(settings)
        holder.communicate(lease.KEEP)


def _start(settings: Settings, chosen: shape.Shape, log_ends: dict[str, int]) -> state.State:
    prometheus = f"http://127.0.0.1:{settings.prometheus_port}" if chosen.prometheus else None
    plain = f"http://{url_host(settings.gateway_host)}:{settings.gateway_port}"
    url = f"https://127.0.0.1:{settings.https_port}" if chosen.nginx else plain
    with (settings.logs / "supervisord-start.log").open("wb") as output:
        supervisord = subprocess.Popen(  # noqa: S603 - our own configuration; nothing in it comes from a request
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(settings.root / "supervisord.conf")],
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
    _print_closing(settings, current, _model(settings, current))
    return current


def print_made(settings: Settings, made: tuple[secret_files.Made, ...]) -> None:
    """Says which secrets were made: where, never what."""
    if made:
        print("Made secrets:\n" + table([(settings.shown(one.path), f"({one.what})") for one in made]))


def _environment(settings: Settings, chosen: shape.Shape) -> dict[str, str]:
    """What the programs get: the person's own variables, the settings, and the names that supervisord.conf asks for."""
    return {
        **settings.environment,
        "SUPERVISOR_SOCKET": str(settings.socket),
        "GLASSHOUSE_PYTHON": sys.executable,
        "NGINX_PROGRAM": str(chosen.nginx or "nginx"),
        "NGINX_AUTOSTART": "true" if chosen.nginx else "false",
        "PROMETHEUS_PROGRAM": str(chosen.prometheus or "prometheus"),
        "PROMETHEUS_AUTOSTART": "true" if chosen.prometheus else "false",
        "PROMETHEUS_PORT": str(settings.prometheus_port),
        "PROMETHEUS_RETENTION": settings.prometheus_retention,
    }


def _ports(settings: Settings, chosen: shape.Shape) -> tuple[ports.Port, ...]:
    local = "127.0.0.1"
    wanted = [
        ports.Port(settings.gateway_port, settings.gateway_host, "gateway", "GATEWAY_PORT"),
        ports.Port(settings.metrics_port, settings.metrics_host, "the gateway's metrics", "METRICS_PORT"),
        ports.Port(settings.llamacpp_port, local, "llama.cpp", "LLAMACPP_PORT"),
        ports.Port(settings.llamacpp_status_port, local, "llama.cpp's status", "LLAMACPP_STATUS_PORT"),
    ]
    if chosen.nginx:
        wanted.append(ports.Port(settings.https_port, local, "nginx", "HTTPS_PORT"))
    if chosen.prometheus:
        wanted.append(ports.Port(settings.prometheus_port, local, "Prometheus", "PROMETHEUS_PORT"))
    return tuple(wanted)


def _print_closing(settings: Settings, current: state.State, model: str | None) -> None:
    certificate = Path(current.certificate) if current.certificate else None
    key_file = shlex.quote(settings.shown(settings.api_key_file))
    trust = f"--cacert {shlex.quote(settings.shown(certificate))} " if certificate else ""
    rows = [
        ("API", f"{current.url}/v1"),
        ("Model", model or "none yet"),
        ("Key", f"in {settings.shown(settings.api_key_file)}"),
    ]
    if current.prometheus:
        rows.append(("Metrics", current.prometheus))
    print(f"""
{table(rows)}

Ask it something:

  curl -s {trust}{current.url}/v1/chat/completions \\
    -H "Authorization: Bearer $(cat {key_file})" -H "Content-Type: application/json" \\
    -d '{{"model": "{model or "glasshouse-demo"}", "messages": [{{"role": "user", "content": "What is Glasshouse?"}}]}}'

  make smoke  a streamed and a plain chat, measured    make logs  what happens    make down  ends everything""")


def _model(settings: Settings, current: state.State) -> str | None:
    """The first model that the API lists; None when it does not answer."""
    certificate = Path(current.certificate) if current.certificate else None
    try:
        key = settings.api_key_file.read_text(encoding="utf-8").strip()
        with Api(current.url, certificate=certificate, key=key) as api:
            return api.first_model()
    except (ApiError, OSError):
        return None


def _follow(settings: Settings, current: state.State) -> None:
    print("\nThe logs follow; Ctrl-C ends everything.\n", flush=True)
    logs.follow(settings.logs, None, until=lambda: not current.is_running())


def _stop_aloud(settings: Settings) -> None:
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
        [sys.executable, "-m", "glasshouse.lease"],
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


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """While inside, SIGTERM and a closed terminal end the command as Ctrl-C does; programs may open many files."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT too: what a shell puts into the background starts with SIGINT ignored. Who ignores SIGHUP (nohup) means it.
    numbers = [signal.SIGINT, signal.SIGTERM]
    numbers += [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))  # every open stream is a file, and 1024 are few
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
