"""nginx in front of a gateway, as supervisord.conf runs it."""

import contextlib
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.program import HOST, Program, free_port
from tests.support.raw import Raw

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
        """Starts one, and waits until it listens."""
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
        nginx.program.ready(nginx.answers, 20)
        return nginx

    def answers(self) -> bool:
        """Whether it speaks TLS: while it tests its configuration it listens already."""
        with contextlib.suppress(OSError), self.open(5):
            return True
        return False

    def open(self, timeout: float = 30.0) -> Raw:
        """A connection with TLS. Use it with `with`."""
        raw = Raw(self.port, timeout)
        context = ssl.create_default_context(cafile=str(self.trusted))
        raw.socket = secure = context.wrap_socket(
            raw.socket, server_hostname="localhost", do_handshake_on_connect=False
        )
        try:
            secure.do_handshake()
        except OSError:
            secure.close()
            raise
        return raw

    def kept(self) -> int:
        """Bytes of bodies that it has put into files."""
        return sum(path.stat().st_size for path in (self.prefix / "body").rglob("*") if path.is_file())
