"""How the supervisor starts, follows, drains and explains vLLM."""

import signal
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

from launcher import probe
from launcher.child import Child, Command
from launcher.supervisor import file_fingerprint
from vllm_launcher.api_keys import ApiKeys
from vllm_launcher.interpreter import serve_command
from vllm_launcher.log_parser import LogParser
from vllm_launcher.options import Options
from vllm_launcher.plan import Plan, local_files, make_plan
from vllm_launcher.settings import Settings
from vllm_launcher.values import to_arguments

_TEARDOWN_SECONDS = 20.0  # after the last request vLLM takes about 10 s to end its processes


class Vllm:
    """vLLM as an engine of `launcher.supervisor`.

    Args:
        settings: the launcher's own.
        environment: the launcher's environment.
        arguments: vLLM's options from the command line.

    Raises:
        ConfigurationError: vLLM cannot be started with them.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str], arguments: Options) -> None:
        self._settings = settings
        self._environment = environment
        self._arguments = arguments
        self._log = LogParser()
        self._keys = ApiKeys()
        self._plan = self._read()
        serve_command(settings.python, self._plan.model)
        settings.keys()

    @property
    def drain_delay(self) -> float:
        """Time for gateways to see that it drains."""
        return self._settings.drain_delay

    @property
    def stop_seconds(self) -> float:
        """The delay, what vLLM itself was told, and the time that its teardown takes."""
        return self._settings.drain_delay + self._plan.drain_seconds + _TEARDOWN_SECONDS

    def model(self) -> str:
        """The served name."""
        return self._plan.served_name

    def input_fingerprint(self) -> Hashable:
        """Fingerprint the model file, the key file, and the model's files when they are here."""
        named = (Path(self._settings.key_file), self._settings.model_file or Path())
        paths = (*named, *local_files(self._plan))
        return tuple(file_fingerprint(path) for path in paths)

    def prepare(self) -> Command:
        """Say how to run it; the model file is read anew, since a change of it ends the pause after a failure."""
        self._plan = self._read()
        probe.require_free_port(self._plan.host, self._plan.port, "VLLM_PORT")
        self._log = LogParser()
        command = serve_command(self._settings.python, self._plan.model)
        self._keys.remove_file()
        self._keys = ApiKeys(self._settings.keys())
        return Command(
            (*command, *self._keys.arguments(), *to_arguments(self._plan.options)),
            self._keys.environment(self._environment),
            # vLLM ends its engine and workers itself when it is asked to; killed, it would leave them to find out.
            death_signal=signal.SIGTERM,
        )

    def handle_log_line(self, line: str) -> str | None:
        """Pass a line of vLLM's log on, and name the phase that it begins."""
        line = self._keys.redact(line)
        print(line, flush=True)  # noqa: T201 -- the engine's log goes where the launcher's goes
        phase = self._log.feed(line)
        if phase:  # the options are read before the first
            self._keys.remove_file()
        return phase

    def is_ready(self) -> bool:
        """Ask /health: the port refuses connections until the engine is ready."""
        return probe.get(self._plan.host, self._plan.port, "/health") is not None

    def drain(self, child: Child, give_up: Callable[[], bool]) -> None:
        """Let vLLM drain: with --shutdown-timeout it finishes running requests after SIGTERM."""
        child.terminate()
        child.wait(self.stop_seconds, give_up)

    def explain_exit(self, exit_code: int) -> str:
        """Tell the error of vLLM's log, or the signal that ended it."""
        self._keys.remove_file()
        if reason := self._log.reason():
            return reason
        if exit_code == -signal.SIGKILL:
            return "vLLM was killed (SIGKILL), which is what the kernel does when the machine's memory runs out."
        if exit_code < 0:
            return f"vLLM was ended by {signal.Signals(-exit_code).name}."
        return f"vLLM ended with exit code {exit_code}; its log is above."

    def _read(self) -> Plan:
        return make_plan(self._settings, self._environment, self._arguments)
