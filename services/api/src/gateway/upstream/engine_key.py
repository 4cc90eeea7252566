"""The key that engines ask for: from a file that may change at any time, since a rotation must not drop a request."""

import asyncio
import re
from pathlib import Path

from loguru import logger

# What examples and guides write where a secret belongs. Whoever starts with one of these has no secret.
_PLACEHOLDERS = ("changeme", "change-me", "your-", "example", "secret", "password", "token-abc123", "admin")
_MIN_LENGTH = 24
_MAX_KEYS = 4
_MAX_BYTES = 4_096
_WATCH_INTERVAL_S = 1.0


class EngineKeyError(Exception):
    """The file holds no usable key; the text is one sentence that names it and says what to do."""


class EngineKey:
    """The engines' keys, one a line, the newest first.

    With several, an engine that does not know the first one yet is asked with the next: the file is given its new first
    line, the engines are started anew one by one, and then the old line is taken out (docs/operate.md).

    Args:
        path: The file.

    Raises:
        EngineKeyError: On construction, when the file is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature = _signature(path)
        self._keys = read_engine_keys(path)

    def candidates(self, accepted: str | None) -> tuple[str, ...]:
        """The keys to try, in that order: first the one that this engine took last, then the newest.

        Args:
            accepted: What the engine took last; None, or a key that the file no longer has, counts for nothing.
        """
        if accepted is None or accepted == self._keys[0] or accepted not in self._keys:
            return self._keys
        return (accepted, *(key for key in self._keys if key != accepted))

    def refresh(self) -> None:
        """Reads the file again if it has changed. A bad version is logged once and changes nothing."""
        signature = _signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._keys = read_engine_keys(self._path)
        except EngineKeyError as error:
            logger.error("engine key refused, the old one stays in force: {}", error)
        else:
            logger.info("engine key read again")

    async def watch(self) -> None:
        """Refreshes for ever."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            self.refresh()


def read_engine_keys(path: Path) -> tuple[str, ...]:
    """The keys in a file, the newest first.

    Raises:
        EngineKeyError: The file cannot be read, or holds a placeholder or something short enough to guess.
    """
    if path.exists() and not path.is_file():  # a FIFO would be waited for
        raise EngineKeyError(f"ENGINE_KEY_FILE={str(path)!r} is not a regular file.")
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise EngineKeyError(
            f"ENGINE_KEY_FILE={str(path)!r} cannot be read ({error.__class__.__name__}): "
            "name a file that holds the engines' key, or leave the variable out."
        ) from error
    keys = tuple(filter(None, (line.strip() for line in text.splitlines())))
    if not 1 <= len(keys) <= _MAX_KEYS or not all(map(_is_key, keys)):
        raise EngineKeyError(
            f"The engine key in {str(path)!r} is no key: it must be one line of at least {_MIN_LENGTH} visible ASCII "
            f"characters and no placeholder (or up to {_MAX_KEYS} such lines, the newest first). `glasshouse init` "
            "makes a random one."
        )
    return keys


def _is_key(text: str) -> bool:
    guessable = len(text) < _MIN_LENGTH or any(word in text.lower() for word in _PLACEHOLDERS)
    return not guessable and re.fullmatch(r"[!-~]+", text) is not None


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
