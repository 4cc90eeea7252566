"""Pebble, Let's Encrypt's own small ACME server for tests, in a container of its own."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.compose.stack import ROOT, until
from tests.support.nginx.containers import NGINX, Container, Sandbox

_PEBBLE = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"
LIFETIME_S = 15


def build_pebble(directory: Path) -> Path:
    """Pebble's program: what PEBBLE names, what is on the PATH, or built with Go (seconds)."""
    if found := os.environ.get("PEBBLE") or shutil.which("pebble"):
        return Path(found)
    go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")
    assert go is not None, f"neither pebble nor Go (1.24 or newer) is on this machine: go install {_PEBBLE}"
    subprocess.run(
        [go, "install", _PEBBLE],
        env=os.environ | {"GOBIN": str(directory), "CGO_ENABLED": "0"},
        check=True,
        timeout=300,
    )
    return directory / "pebble"


class AcmeServer(Container):
    """A certificate authority, as https://authority:14000/dir. Its certificates live LIFETIME_S."""

    @classmethod
    def start(cls, sandbox: Sandbox, program: Path) -> "AcmeServer":
        settings = {
            "listenAddress": "0.0.0.0:14000", "managementListenAddress": "0.0.0.0:15000",
            "certificate": "/pebble/cert.pem", "privateKey": "/pebble/key.pem", "httpPort": 80, "tlsPort": 443,
            "retryAfter": {"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "short", "validityPeriod": LIFETIME_S}},
        }  # fmt: skip
        folder = sandbox.directory / "pebble"
        folder.mkdir()
        shutil.copy(program, folder / "pebble")
        (folder / "config.json").write_text(json.dumps({"pebble": settings}))
        subprocess.run(
            ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=authority", "-addext", "subjectAltName=DNS:authority", "-keyout", folder / "key.pem",
             "-out", folder / "cert.pem"),
            check=True, capture_output=True,
        )  # fmt: skip
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)
        acme_server = cls(
            sandbox.run(
                f"--volume={folder}:/pebble:ro", "--env=PEBBLE_VA_NOSLEEP=1", "--env=PEBBLE_WFE_NONCEREJECT=0",
                alias="authority", image=NGINX,
                command=("/pebble/pebble", "-strict=false", "-config", "/pebble/config.json"),
            )
        )  # fmt: skip
        until(lambda: "Listening on: 0.0.0.0:14000" in acme_server.logs(), 20, "pebble listens")
        return acme_server


def start_acme_client(sandbox: Sandbox, volume: str = "acme", **environment: str) -> Container:
    """Starts the service `acme` as compose.yaml does, with the authority above; `volume` is a folder of its own."""
    settings = {"ACME_SERVER": "https://authority:14000/dir", "REQUESTS_CA_BUNDLE": "/authority.pem", **environment}
    words = (
        f"--volume={ROOT / 'nginx'}:/etc/glasshouse/nginx:ro", f"--volume={sandbox.tls}:/run/glasshouse/tls",
        f"--volume={sandbox.webroot}:/run/glasshouse/acme-webroot", f"--volume={sandbox.folder(volume)}:/data/acme",
        f"--volume={sandbox.directory / 'pebble' / 'cert.pem'}:/authority.pem:ro",
        *(f"--env={name}={value}" for name, value in settings.items()),
    )  # fmt: skip
    return Container(sandbox.run(*words, alias="acme", image=NGINX, command=("sh", "/etc/glasshouse/nginx/acme.sh")))
