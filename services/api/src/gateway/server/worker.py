"""What gunicorn runs: uvicorn on uvloop, which ends its running requests within the grace; and gunicorn's own log."""

import asyncio
import socket
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]  # it ships no types

from gateway.asgi import DROP
from gateway.telemetry.logs import set_up_logs

# Seconds in which a worker that stops still serves what had connected, before it closes the connections that are idle.
_LINGER_S = 1.0
# Seconds that are left, of gunicorn's grace, to tell the clients of unfinished requests before the worker is killed.
_LAST_WORDS_S = 3


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which lets the application cut a connection whose client does not read."""

    def on_message_begin(self) -> None:
        """See uvicorn: the scope of a request is made here."""
        super().on_message_begin()
        self.scope["extensions"] = {DROP: {"abort": self.transport.abort}}


class Worker(UvicornWorker):  # type: ignore[misc]  # untyped, as above
    """uvicorn-worker 0.4 does not pass gunicorn's grace on, so that a stop would wait for ever and then be a kill."""

    CONFIG_KWARGS = {  # noqa: RUF012 - the parent declares it without ClassVar
        "loop": "uvloop",
        "http": Protocol,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,  # nothing here looks at the client's address
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - _LAST_WORDS_S)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = _Server(self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class _Server(Server):
    """uvicorn's server, which at its end first answers whoever had already connected.

    uvicorn closes every connection without a request under way at once: also one whose request lies unread in the
    socket, so that each reload under load would lose some.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await asyncio.sleep(_LINGER_S)
        await super().shutdown(sockets)


class Log(Logger):
    """gunicorn's own lines, as JSON like all others."""

    def setup(self, cfg: Config) -> None:
        """See gunicorn; called in the master, before any worker."""
        self.cfg = cfg
        set_up_logs(cfg.loglevel)
