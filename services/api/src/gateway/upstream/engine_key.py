"""The key that engines require, from a file that may change at any time: a rotation must not drop a request."""

import asyncio
import re
from pathlib import Path

from loguru import logger

from gateway.file_signature import file_signature

# What examples and guides write in place of a secret; such a key would be none.
_PLACEHOLDERS = ("changeme", "change-me", "your-", "example", "secret", "password", "token-abc123", "admin")
_MIN_LENGTH = 24
_MAX_BYTES = 4_096
_WATCH_INTERVAL_S = 1.0


class EngineKeyError(Exception):
    """The file holds no usable key; the message names it and says what to do."""


class EngineKey:
    """The engines' key. Engines accept the next key before it is in use (decision 18), so it may change at any time.

    Args:
        path: The file, with one line.

    Raises:
        EngineKeyError: On construction, if the file is invalid.

    Attributes:
        authorization: The header's line for a request, with its line end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature = file_signature(path)
        self.authorization = _header(path)

    def refresh(self) -> None:
        """Reads the file again if it has changed. An invalid version is logged once and changes nothing."""
        signature = file_signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self.authorization = _header(self._path)
        except EngineKeyError as error:
            logger.error("engine key refused, the old one stays in force: {}", error)
        else:
            logger.info("engine key read again")

    async def watch(self) -> None:
        """Refreshes periodically, forever."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            self.refresh()


def _header(path: Path) -> bytes:
    return b"authorization: Bearer %b\r\n" % read_engine_key(path).encode("ascii")


def read_engine_key(path: Path) -> str:
    """The key in a file.

    Raises:
        EngineKeyError: The file cannot be read, or holds a placeholder or something short enough to guess.
    """
    if path.exists() and not path.is_file():  # opening a FIFO would block
        raise EngineKeyError(f"ENGINE_KEY_FILE={str(path)!r} is not a regular file.")
    try:
        with path.open("rb") as file:
            key = file.read(_MAX_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EngineKeyError(
            f"ENGINE_KEY_FILE={str(path)!r} cannot be read ({error.__class__.__name__}): "
            "name a file that holds the engines' key, or unset the variable."
        ) from error
    guessable = len(key) < _MIN_LENGTH or any(word in key.lower() for word in _PLACEHOLDERS)
    if guessable or not re.fullmatch(r"[!-~]+", key):
        raise EngineKeyError(
            f"The engine key in {str(path)!r} is not usable: it must be one line of at least {_MIN_LENGTH} "
            "visible ASCII characters, not a placeholder. `glasshouse init` makes a random one."
        )
    return key
