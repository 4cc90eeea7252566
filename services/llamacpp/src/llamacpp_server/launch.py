"""llama.cpp as a supervised engine: how to start, probe, drain and diagnose it."""

import importlib.metadata
import os
import re
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

from launcher import probe
from launcher.child import Child, Command, describe_exit
from launcher.key_file import read_keys
from launcher.supervisor import file_fingerprint
from llamacpp_server.gguf import require_gguf
from llamacpp_server.log_parser import LogParser
from llamacpp_server.parameters import Parameters
from llamacpp_server.settings import Settings

_RUNNING_REQUESTS = re.compile(r"^llamacpp:requests_(?:processing|deferred) (\S+)$", re.MULTILINE)
_DRAIN_POLL_SECONDS = 0.1
_FLUSH_SECONDS = 0.3  # a slot is free before the last bytes of its response are sent


class LlamaCpp:
    """llama.cpp as an engine of `launcher.supervisor`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: tuple[str, ...] = ()
        self._log = LogParser()

    @property
    def drain_delay(self) -> float:
        """Seconds in which gateways notice that it drains."""
        return self._settings.drain_delay

    @property
    def stop_seconds(self) -> float:
        """The grace period; stopping the process itself takes no time."""
        return self._settings.stop_grace

    def model(self) -> str:
        """The served name."""
        return self._settings.served_name

    def capacity(self) -> Mapping[str, int]:
        """The slots, and the tokens of prompt and completion that a slot holds."""
        return {"slots": self._settings.parallel, "slot_context_tokens": self._settings.ctx}

    def version(self) -> str:
        """The wheel's version: it is built without llama.cpp's own."""
        return importlib.metadata.version("xllamacpp")

    def input_fingerprint(self) -> Hashable:
        """Fingerprint model, adapters and key file."""
        settings = self._settings
        paths = (settings.model, *settings.lora_paths, Path(settings.engine_key_file))
        return tuple(file_fingerprint(path) for path in paths)

    def check(self) -> None:
        """Check the model, the adapters and the key file.

        Raises:
            ConfigurationError: one cannot be used.
        """
        require_gguf(self._settings.model, "LLAMACPP_MODEL")
        for path in self._settings.lora_paths:
            require_gguf(path, "LLAMACPP_LORA")
        self._keys = read_keys(self._settings.engine_key_file)

    def prepare(self) -> Command:
        """See `launcher.supervisor.Engine`."""
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
        """Print what may be printed of a line of llama.cpp's log, and return the phase that it begins."""
        printable, phase = self._log.feed(line)
        if printable is not None:
            print(printable, flush=True)  # noqa: T201 -- the engine's log goes where the launcher's goes
        return phase

    def is_ready(self) -> bool:
        """Probe /health, which is 503 while the model loads and needs no key."""
        return probe.get(self._settings.host, self._settings.port, "/health") is not None

    def drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Wait until llama.cpp is idle: it cannot drain itself, and cuts its streams when it exits."""
        while self._is_busy() and child.exit_code() is None:
            if give_up():
                return
            time.sleep(_DRAIN_POLL_SECONDS)
        time.sleep(_FLUSH_SECONDS)

    def explain_exit(self, exit_code: int) -> str:
        """Return the engine's own error, or the signal that killed it."""
        if self._log.reason:
            return f"llama.cpp could not load {self._settings.model}: {self._log.reason.rstrip('.')}."
        return describe_exit("llama.cpp", exit_code)

    def _is_busy(self) -> bool:
        metrics = probe.get(self._settings.host, self._settings.port, "/metrics", key=next(iter(self._keys), None))
        # No response means that it is too busy to send one.
        return metrics is None or any(float(count) > 0 for count in _RUNNING_REQUESTS.findall(metrics))
