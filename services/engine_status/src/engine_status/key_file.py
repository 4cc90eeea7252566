"""Secrets reach processes as files."""

from pathlib import Path

from engine_status.errors import ConfigurationError

VARIABLE = "ENGINE_KEY_FILE"


def read_key(path: str) -> str | None:
    """Read the key that clients of the engine must show.

    Args:
        path: the file's path; empty when no key is wanted.

    Returns:
        The key without surrounding white space, or None when no file is named.

    Raises:
        ConfigurationError: the file cannot be read, is empty, or holds more than one word.
    """
    if not path:
        return None
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{VARIABLE}={path} cannot be read ({_why(error)}); name a text file holding the key, or leave it empty."
        ) from error
    if not key or len(key.split()) != 1:
        raise ConfigurationError(
            f"{VARIABLE}={path} must hold exactly one key, without spaces; leave it empty for none."
        )
    return key


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else "not UTF-8 text"
