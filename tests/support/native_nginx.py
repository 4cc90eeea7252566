"""nginx in front of a gateway, as supervisord.conf runs it."""

import contextlib
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.http.connection import RawConnection
from tests.support.program import HOST, Program, free_port

from glasshouse.secrets import certificate

_PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    program: Program
    port: int
    prefix: Path
    trusted: Path

    @classmethod
    def start(cls, directory: Path, gateway_port: int, **settings: str) -> Self:
        """Starts nginx, and waits until it serves TLS."""
        tls, prefix = directory / "tls", directory / "nginx"
        tls.mkdir()
        pair = certificate.make()
        (tls / "cert.pem").write_text(pair.certificate)
        (tls / "key.pem").write_text(pair.key)
        port = free_port()
        variables = {
            "NGINX_PROGRAM": _PROGRAM or "nginx", "NGINX_PREFIX": str(prefix), "NGINX_TLS": str(tls),
            "NGINX_LISTEN": f"{HOST}:{port}", "NGINX_GATEWAY": f"{HOST}:{gateway_port}", **settings,
        }  # fmt: skip
        nginx = cls(Program("nginx", ("sh", "nginx/start.sh"), variables, directory), port, prefix, tls / "cert.pem")
        nginx.program.ready(nginx.is_up, 20)
        return nginx

    def is_up(self) -> bool:
        """Whether it serves TLS: it listens already while it tests its configuration."""
        with contextlib.suppress(OSError), self.open(5):
            return True
        return False

    def open(self, timeout: float = 30.0) -> RawConnection:
        """A connection with TLS. Use it with `with`."""
        return RawConnection(self.port, timeout, tls=ssl.create_default_context(cafile=str(self.trusted)))

    def buffered_bytes(self) -> int:
        """Bytes of request bodies that it has buffered in files."""
        return sum(path.stat().st_size for path in (self.prefix / "body").rglob("*") if path.is_file())
