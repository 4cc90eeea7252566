"""Reads the YAML files that people write for the gateway, or says in one sentence why it cannot."""

from pathlib import Path

import yaml


def read_yaml(path: Path, what: str, otherwise: str, error: type[Exception]) -> object:
    """The content of a file; its shape is for the caller to check.

    Args:
        path: The file.
        what: What it is to people, such as "keys file".
        otherwise: What to do where there is none.
        error: What to raise.

    Raises:
        Exception: An `error`: the file is missing, cannot be read, or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise error(f"The {what} {str(path)!r} does not exist: {otherwise}.") from missing
    except (OSError, UnicodeDecodeError) as unreadable:
        raise error(f"The {what} {str(path)!r} cannot be read: {unreadable}.") from unreadable
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:
        # A traceback would quote the file, which may hold what nobody else should read.
        raise error(f"The {what} {str(path)!r} is not YAML that can be read{_where(wrong)}.") from None


def _where(error: Exception) -> str:
    """Line and column of a YAML error; not its text, which quotes the file."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f" ({error})" if isinstance(error, ValueError) and not isinstance(error, yaml.YAMLError) else ""
    return f": see line {mark.line + 1}, column {mark.column + 1}"
