"""nginx as a plain proxy: the least that relaying costs, in clear and with TLS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks import child
from benchmarks.load import Endpoint
from benchmarks.targets.target import ROOT, Target, UnavailableError, Workspace, launch

NGINX = Path("/usr/sbin/nginx")  # where Debian's package puts it
TLS = "ssl_certificate {certificate}; ssl_certificate_key {key};"


def start_nginx(workspace: Workspace) -> Target:
    """Start a plain proxy.

    Raises:
        UnavailableError: nginx is not installed.
    """
    return _start(workspace, "nginx", "", "")


def start_nginx_tls(workspace: Workspace) -> Target:
    """Start a proxy to which clients speak TLS.

    Raises:
        UnavailableError: nginx, openssl, or OpenSSL's headers for the load generator are not installed.
    """
    if not workspace.programs.tls:
        raise UnavailableError("the load generator is built without TLS (Debian: apt-get install libssl-dev)")
    if shutil.which("openssl") is None:
        raise UnavailableError("openssl is not installed: it makes the certificate (Debian: apt-get install openssl)")
    key, certificate = workspace.directory / "tls.key", workspace.directory / "tls.crt"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    command = [
        "openssl",
        "req",
        "-x509",
        *kind,
        "-subj",
        "/CN=localhost",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return _start(workspace, "nginx-tls", " ssl", TLS.format(certificate=certificate, key=key))


def version() -> str | None:
    """Return the output of `nginx -v`; None where nginx is not installed."""
    return child.output([str(NGINX), "-v"]) if NGINX.exists() else None


def _start(workspace: Workspace, name: str, listen: str, tls: str) -> Target:
    if not NGINX.exists():
        raise UnavailableError("nginx is not installed (Debian: apt-get install nginx-light)")
    port = workspace.port()
    directory = workspace.directory / name
    directory.mkdir(mode=0o755, exist_ok=True)
    configuration = (ROOT / "benchmarks" / "nginx.conf").read_text(encoding="utf-8")
    values = {
        "@PORT@": str(port),
        "@LISTEN@": listen,
        "@TLS@": tls,
        "@ENGINE@": f"{child.HOST}:{workspace.engine_port}",
        "@DIRECTORY@": str(directory),
    }
    for placeholder, value in values.items():
        configuration = configuration.replace(placeholder, value)
    path = workspace.write(f"{name}.conf", configuration)
    command = [str(NGINX), "-c", str(path), "-p", str(directory), "-e", str(directory / "error.log")]
    return launch(workspace, name, command, Endpoint(port, workspace.key, tls=bool(tls)))
