"""How vLLM gets its keys: by its environment, or, where there are several, by a file that is gone when it was read.

As arguments every process on the machine could see them, and the environment has room for one.
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
        """Write the file and give the arguments that name it; none where the environment is enough."""
        if len(self._keys) < 2:  # noqa: PLR2004 -- one key has room in the environment
            return ()
        descriptor, name = tempfile.mkstemp(prefix="vllm-", suffix=".yaml")  # made with mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"api-key": self._keys}, file)  # which is YAML too
        self._path = Path(name)
        return ("--config", name)

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Give vLLM's environment, with the key where it is the only one."""
        child = child_environment(environment)
        return child | {API_KEY_VARIABLE: self._keys[0]} if len(self._keys) == 1 else child

    def remove_file(self) -> None:
        """Remove the file, since vLLM has read it, or will not."""
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()
            self._path = None

    def redact(self, line: str) -> str:
        """Take the keys out of a line of vLLM's log, which shows the options that it was started with."""
        for key in self._keys:
            line = line.replace(key, _REDACTED)
        return line
