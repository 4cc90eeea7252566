"""Starts supervisord with the programs of supervisord.conf, and waits until the stack answers."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from glasshouse.configuration import url_host
from glasshouse.settings import Settings
from glasshouse.stack import ports, processes
from glasshouse.stack.native import parent_watchdog, privacy_canary, readiness, state
from glasshouse.stack.shape import Shape

_MAX_OPEN_FILES = 65_536


def start_supervisord(settings: Settings, shape: Shape, log_ends: dict[str, int]) -> tuple[state.State, float]:
    """Starts everything and waits until it answers; returns what runs, and the seconds.

    `log_ends` has each log's length before this start.

    Raises:
        StackError: It does not get ready; what runs is left running.
    """
    prometheus = f"http://127.0.0.1:{settings.prometheus_port}" if shape.prometheus else None
    plain = f"http://{url_host(settings.gateway_host)}:{settings.gateway_port}"
    url = f"https://127.0.0.1:{settings.https_port}" if shape.nginx else plain
    configuration = str(settings.root / "supervisord.conf")
    with (settings.logs / "supervisord-start.log").open("wb") as output:
        supervisord = subprocess.Popen(  # noqa: S603 - our own configuration; nothing in it comes from a request
            [sys.executable, "-m", "glasshouse.stack.native.supervisord", "-c", configuration],
            cwd=settings.root,
            env=_environment(settings, shape, url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C on the terminal reaches `up` alone, which then ends the rest in order
        )
    current = state.State(
        pid=supervisord.pid,
        started=processes.start_ticks(supervisord.pid),
        boot=state.boot_id(),
        url=url,
        certificate=str(settings.certificate) if shape.nginx else None,
        prometheus=prometheus,
        stop_grace=settings.stop_grace,
    )
    state.write(settings.run_dir, current)
    return current, readiness.wait(settings, url, supervisord, log_ends)


def required_ports(settings: Settings, shape: Shape | None) -> tuple[ports.Port, ...]:
    """The ports that the programs listen on; those of nginx and Prometheus only where the shape has them."""
    local = "127.0.0.1"
    required = [
        ports.Port(settings.gateway_port, settings.gateway_host, "gateway", "GATEWAY_PORT"),
        ports.Port(settings.metrics_port, settings.metrics_host, "the gateway's metrics", "METRICS_PORT"),
        ports.Port(settings.llamacpp_port, local, "llama.cpp", "LLAMACPP_PORT"),
        ports.Port(settings.llamacpp_status_port, local, "llama.cpp's status", "LLAMACPP_STATUS_PORT"),
    ]
    if shape is not None and shape.nginx:
        required.append(ports.Port(settings.https_port, local, "nginx", "HTTPS_PORT"))
    if shape is not None and shape.prometheus:
        required.append(ports.Port(settings.prometheus_port, local, "Prometheus", "PROMETHEUS_PORT"))
    if settings.privacy_canary:
        required.append(ports.Port(settings.privacy_canary_port, local, "the privacy canary", "PRIVACY_CANARY_PORT"))
    return tuple(required)


@contextmanager
def watchdog(settings: Settings) -> Iterator[None]:
    """While inside, a process ends the stack should this one be killed; see parent_watchdog."""
    child = subprocess.Popen(
        [sys.executable, "-m", "glasshouse.stack.native.parent_watchdog"],
        cwd=settings.root,
        env={**settings.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        if child.poll() is None:
            child.communicate(parent_watchdog.KEEP)


def raise_file_limit() -> None:
    """Raises this process's limit of open files, which programs inherit: every stream is a file, and 1024 are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(_MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _environment(settings: Settings, shape: Shape, url: str) -> dict[str, str]:
    """What the programs get: the caller's own variables, the settings, and what supervisord.conf refers to."""
    return {
        **settings.environment,
        "SUPERVISOR_SOCKET": str(settings.socket),
        "LOGS_TWICE": str(settings.logs).replace("%", "%%"),
        "GLASSHOUSE_PYTHON": sys.executable,
        "NGINX_PROGRAM": str(shape.nginx or "nginx"),
        "NGINX_AUTOSTART": "true" if shape.nginx else "false",
        "NGINX_PREFIX": str(settings.run_dir / "nginx"),
        "NGINX_TLS": str(settings.certificate.parent),
        "NGINX_LISTEN": f"127.0.0.1:{settings.https_port}",
        "NGINX_GATEWAY": f"{url_host(settings.gateway_host)}:{settings.gateway_port}",
        "PROMETHEUS_PROGRAM": str(shape.prometheus or "prometheus"),
        "PROMETHEUS_AUTOSTART": "true" if shape.prometheus else "false",
        "PROMETHEUS_PORT": str(settings.prometheus_port),
        "PROMETHEUS_RETENTION": settings.prometheus_retention,
        **privacy_canary.environment(settings, shape, url),
    }
