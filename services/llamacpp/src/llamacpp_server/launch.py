"""How the supervisor starts, follows, drains and explains llama.cpp."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Hashable
from pathlib import Path

from launcher import probe
from launcher.child import Child, Command
from launcher.key_file import read_keys
from launcher.supervisor import file_fingerprint
from llamacpp_server.gguf import require_gguf
from llamacpp_server.log_parser import LogParser
from llamacpp_server.parameters import Parameters
from llamacpp_server.settings import Settings

_RUNNING_REQUESTS = re.compile(r"^llamacpp:requests_(?:processing|deferred) (\S+)$", re.MULTILINE)
_DRAIN_POLL_SECONDS = 0.1
_FLUSH_SECONDS = 0.3  # a slot is free before the last bytes of its answer have left


class LlamaCpp:
    """llama.cpp as an engine of `launcher.supervisor`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: tuple[str, ...] = ()
        self._log = LogParser()

    @property
    def drain_delay(self) -> float:
        """Time for gateways to see that it drains."""
        return self._settings.drain_delay

    @property
    def stop_seconds(self) -> float:
        """The grace; ending the process itself takes no time."""
        return self._settings.stop_grace

    def model(self) -> str:
        """The served name."""
        return self._settings.served_name

    def input_fingerprint(self) -> Hashable:
        """Fingerprint model, adapters and key file."""
        settings = self._settings
        paths = (settings.model, *settings.lora_paths, Path(settings.engine_key_file))
        return tuple(file_fingerprint(path) for path in paths)

    def check(self) -> None:
        """Look at the files.

        Raises:
            ConfigurationError: one cannot be used.
        """
        require_gguf(self._settings.model, "LLAMACPP_MODEL")
        for path in self._settings.lora_paths:
            require_gguf(path, "LLAMACPP_LORA")
        self._keys = read_keys(self._settings.engine_key_file)

    def prepare(self) -> Command:
        """Say how to run it; see `launcher.supervisor.Engine`."""
        settings = self._settings
        self.check()
        probe.require_free_port(settings.host, settings.port, "LLAMACPP_PORT")
        self._log = LogParser()
        parameters = Parameters(
            model=str(settings.model),
            alias=settings.served_name,
            host=settings.host,
            port=settings.port,
            ctx=settings.ctx * settings.parallel,
            parallel=settings.parallel,
            threads=settings.threads,
            embeddings=settings.embeddings,
            embedding_tokens=settings.embedding_tokens,
            gpu_layers=settings.gpu_layers,
            lora=tuple(str(path) for path in settings.lora_paths),
            keys=self._keys,
        )
        return Command((sys.executable, "-m", "llamacpp_server.engine"), os.environ, stdin=parameters.dump())

    def handle_log_line(self, line: str) -> str | None:
        """Print what may be printed of a line of llama.cpp's log, and name the phase that it begins."""
        printable, phase = self._log.feed(line)
        if printable is not None:
            print(printable, flush=True)  # noqa: T201 -- the engine's log goes where the launcher's goes
        return phase

    def is_ready(self) -> bool:
        """Ask /health, which is 503 while the model loads and needs no key."""
        return probe.get(self._settings.host, self._settings.port, "/health") is not None

    def drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Wait until llama.cpp is idle: it knows no draining itself and cuts its streams when it ends."""
        while self._busy() and child.exit_code() is None:
            if give_up():
                return
            time.sleep(_DRAIN_POLL_SECONDS)
        time.sleep(_FLUSH_SECONDS)

    def explain_exit(self, exit_code: int) -> str:
        """Tell the engine's own error, or the signal that ended it."""
        if self._log.reason:
            return f"llama.cpp could not load {self._settings.model}: {self._log.reason.rstrip('.')}."
        if exit_code == -signal.SIGKILL:
            return "llama.cpp was killed (SIGKILL), which is what the kernel does when memory runs out."
        if exit_code < 0:
            return f"llama.cpp was ended by {signal.Signals(-exit_code).name} with {self._settings.model}."
        return f"llama.cpp ended with exit code {exit_code}; its log is above."

    def _busy(self) -> bool:
        page = probe.get(self._settings.host, self._settings.port, "/metrics", key=next(iter(self._keys), None))
        # No answer means that it is too busy to give one.
        return page is None or any(float(count) > 0 for count in _RUNNING_REQUESTS.findall(page))
