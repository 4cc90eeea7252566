"""What gunicorn runs: uvicorn on uvloop, which ends its running requests within the grace; and gunicorn's own log."""

import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]  # it ships no types

from gateway.server.limits import Limits
from gateway.server.server import Server
from gateway.telemetry.logs import set_up_logs

# Seconds that are left, of gunicorn's grace, to tell the clients of unfinished requests before the worker is killed.
_LAST_WORDS_S = 3


class Worker(UvicornWorker):  # type: ignore[misc]  # untyped, as above
    """uvicorn-worker 0.4 does not pass gunicorn's grace on, so that a stop would wait for ever and then be a kill."""

    CONFIG_KWARGS = {  # noqa: RUF012 - the parent declares it without ClassVar
        "loop": "uvloop",
        "http": "httptools",  # for its settings only: the connections are our own
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,  # nothing here looks at the client's address
    }

    limits: Limits  # given by gunicorn's configuration file, which knows the settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - _LAST_WORDS_S)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = Server(self.config, self.limits)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class Log(Logger):
    """gunicorn's own lines, as JSON like all others."""

    def setup(self, cfg: Config) -> None:
        """See gunicorn; called in the master, before any worker."""
        self.cfg = cfg
        set_up_logs(cfg.loglevel)
