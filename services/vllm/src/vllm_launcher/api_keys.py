"""Passing API keys to vLLM: in its environment or, when there are several, in a file that is deleted once it was read.

Arguments are visible to every process on the machine, and the environment has room for one key.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vllm_launcher.environment import API_KEY_VARIABLE, child_environment

_REDACTED = "(a key)"


class ApiKeys:
    """The keys of one run of vLLM."""

    def __init__(self, keys: tuple[str, ...] = ()) -> None:
        self._keys = keys
        self._path: Path | None = None

    def arguments(self) -> tuple[str, ...]:
        """Write the file and return the arguments that name it; none when the environment is enough."""
        if len(self._keys) < 2:  # noqa: PLR2004 -- one key has room in the environment
            return ()
        descriptor, name = tempfile.mkstemp(prefix="vllm-", suffix=".yaml")  # created with mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"api-key": self._keys}, file)  # JSON is YAML, too
        self._path = Path(name)
        return ("--config", name)

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return vLLM's environment, with the key when it is the only one."""
        child = child_environment(environment)
        return child | {API_KEY_VARIABLE: self._keys[0]} if len(self._keys) == 1 else child

    def remove_file(self) -> None:
        """Delete the file: vLLM has read it, or never will."""
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()
            self._path = None

    def redact(self, line: str) -> str:
        """Remove the keys from a line of vLLM's log, which shows the options it was started with."""
        for key in self._keys:
            line = line.replace(key, _REDACTED)
        return line
