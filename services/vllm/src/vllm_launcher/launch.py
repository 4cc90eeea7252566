"""vLLM as a supervised engine: how to start, probe, drain and diagnose it."""

import re
import signal
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

from launcher import probe
from launcher.child import Child, Command, describe_exit
from launcher.supervisor import file_fingerprint
from vllm_launcher import limits
from vllm_launcher.api_keys import ApiKeys
from vllm_launcher.interpreter import serve_command
from vllm_launcher.log_parser import LogParser
from vllm_launcher.options import Options
from vllm_launcher.plan import Plan, local_files, make_plan
from vllm_launcher.settings import Settings
from vllm_launcher.values import to_arguments

_VERSION = re.compile(r'"version"\s*:\s*"([^"]+)"')
_TEARDOWN_SECONDS = 20.0  # vLLM takes about 10 s to stop its processes after the last request


class Vllm:
    """vLLM as an engine of `launcher.supervisor`.

    Args:
        settings: the launcher's own.
        environment: the launcher's environment.
        arguments: vLLM's options on the command line.

    Raises:
        ConfigurationError: vLLM cannot start with them.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str], arguments: Options) -> None:
        self._settings = settings
        self._environment = environment
        self._arguments = arguments
        self._log = LogParser()
        self._keys = ApiKeys()
        self._plan = self._make_plan()
        serve_command(settings.python, self._plan.model)
        settings.keys()

    @property
    def drain_delay(self) -> float:
        """Seconds in which gateways notice that it drains."""
        return self._settings.drain_delay

    @property
    def stop_seconds(self) -> float:
        """The delay, vLLM's own shutdown timeout, and the time of its teardown."""
        return self._settings.drain_delay + self._plan.drain_seconds + _TEARDOWN_SECONDS

    def model(self) -> str:
        """The served name."""
        return self._plan.served_name

    def capacity(self) -> Mapping[str, int]:
        """The limits that its options set; vLLM chooses the others by the GPU."""
        return limits.of(self._plan.options)

    def version(self) -> str:
        """What /version answers, which needs no key."""
        found = _VERSION.search(probe.get(self._plan.host, self._plan.port, "/version") or "")
        return found[1] if found else ""

    def input_fingerprint(self) -> Hashable:
        """Fingerprint the model file, the key file, and the model's files when they are local."""
        configured = (Path(self._settings.engine_key_file), self._settings.model_file or Path())
        paths = (*configured, *local_files(self._plan))
        return tuple(file_fingerprint(path) for path in paths)

    def prepare(self) -> Command:
        """Return the command; the model file is read again, since a change of it ends the wait after a failure."""
        self._plan = self._make_plan()
        probe.require_free_port(self._plan.host, self._plan.port, "VLLM_PORT")
        self._log = LogParser()
        command = serve_command(self._settings.python, self._plan.model)
        self._keys.remove_file()
        self._keys = ApiKeys(self._settings.keys())
        return Command(
            (*command, *self._keys.arguments(), *to_arguments(self._plan.options)),
            self._keys.environment(self._environment),
            # On SIGTERM vLLM stops its engine and workers itself; SIGKILL would leave them behind.
            death_signal=signal.SIGTERM,
        )

    def handle_log_line(self, line: str) -> str | None:
        """Print a line of vLLM's log without keys, and return the phase that it begins."""
        line = self._keys.redact(line)
        print(line, flush=True)  # noqa: T201 -- the engine's log goes where the launcher's goes
        phase = self._log.feed(line)
        if phase:  # vLLM has read its options before the first phase
            self._keys.remove_file()
        return phase

    def is_ready(self) -> bool:
        """Probe /health: the port refuses connections until the engine is ready."""
        return probe.get(self._plan.host, self._plan.port, "/health") is not None

    def drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Send SIGTERM: with --shutdown-timeout vLLM finishes running requests first."""
        child.terminate()
        child.wait(self.stop_seconds, give_up)

    def explain_exit(self, exit_code: int) -> str:
        """Return the error in vLLM's log, or the signal that killed it."""
        self._keys.remove_file()
        return self._log.reason() or describe_exit("vLLM", exit_code)

    def _make_plan(self) -> Plan:
        return make_plan(self._settings, self._environment, self._arguments)
