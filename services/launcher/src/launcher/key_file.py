"""The file that holds the engine's API key."""

from pathlib import Path

from launcher.errors import ConfigurationError

VARIABLE = "ENGINE_KEY_FILE"


def read_keys(path: str) -> tuple[str, ...]:
    """Read the keys that the engine accepts: the current one and, from the file `….next` beside it, the next one.

    A rotation replaces the current key with the next one. The engine has accepted that one since it started, so no
    request is refused and nothing has to be restarted.

    Args:
        path: the file of the current key; empty for no key.

    Returns:
        The keys without surrounding white space, the current one first; none when no file is named.

    Raises:
        ConfigurationError: a file cannot be read, is empty, or holds more than one word.
    """
    if not path:
        return ()
    next_path = f"{path}.next"
    files = (path, next_path) if Path(next_path).exists() else (path,)
    return tuple(dict.fromkeys(_read(file) for file in files))


def _read(path: str) -> str:
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{VARIABLE}={path} cannot be read ({_cause(error)}); name a text file holding the key, or leave it empty."
        ) from error
    if not key or len(key.split()) != 1:
        raise ConfigurationError(
            f"{VARIABLE}={path} must hold exactly one key, without spaces; leave it empty for none."
        )
    return key


def _cause(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "not UTF-8 text"
