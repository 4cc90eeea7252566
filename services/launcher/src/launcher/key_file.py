"""Secrets reach processes as files."""

from pathlib import Path

from launcher.errors import ConfigurationError

VARIABLE = "ENGINE_KEY_FILE"


def read_keys(path: str) -> tuple[str, ...]:
    """Read the keys that the engine accepts: the one in force and, from the file `….next` beside it, the next one.

    The next key takes the place of the other when it is rotated, and because the engine has known it since it started,
    no request is refused then and nothing has to be restarted.

    Args:
        path: the file of the key in force; empty when no key is wanted.

    Returns:
        The keys without surrounding white space, the one in force first; none when no file is named.

    Raises:
        ConfigurationError: a file cannot be read, is empty, or holds more than one word.
    """
    if not path:
        return ()
    following = f"{path}.next"
    files = (path, following) if Path(following).exists() else (path,)
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
