"""The gunicorn worker: uvicorn on uvloop, which ends its requests within the grace period; and gunicorn's own log."""

import gc
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]  # it ships no types

from gateway.server.limits import Limits
from gateway.server.server import Server
from gateway.telemetry.logs import set_up_logs

# Seconds of gunicorn's grace period that are reserved for answering the clients of unfinished requests.
_FINAL_SEND_S = 3
# New objects after which the collector looks for cycles among them, and how much less often among older ones. A request
# leaves no cycles behind: docs/measured.md has what rarer collections save.
_GC_THRESHOLDS = (20_000, 20, 50)


class Worker(UvicornWorker):  # type: ignore[misc]  # untyped, as above
    """Passes gunicorn's grace period on, which uvicorn-worker 0.4 does not: a stop would wait until the kill."""

    CONFIG_KWARGS = {  # noqa: RUF012 - the parent declares it without ClassVar
        "loop": "uvloop",
        "http": "httptools",  # for its settings only: the protocol is our own
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,  # the client's address is not used
    }

    limits: Limits  # set by gunicorn's configuration file, which knows the settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - _FINAL_SEND_S)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = Server(self.config, self.limits)
        self._install_sigquit_handler()
        # What start-up made lives as long as the worker: the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class Log(Logger):
    """gunicorn's own log, as JSON lines like all others."""

    def setup(self, cfg: Config) -> None:
        """See gunicorn; called in the master, before any worker."""
        self.cfg = cfg
        set_up_logs(cfg.loglevel)
