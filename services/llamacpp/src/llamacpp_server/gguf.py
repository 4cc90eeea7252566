"""Checks the header of a .gguf file before llama.cpp loads it."""

import struct
from pathlib import Path

from launcher.errors import ConfigurationError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of metadata entries


def require_gguf(path: Path, variable: str) -> None:
    """Make sure that a file exists and has a GGUF header.

    Only what a person must correct is refused: a file that is still being copied has a valid header too; llama.cpp then
    fails to load it, and the launcher waits for the file to change.

    Raises:
        ConfigurationError: it is missing, unreadable or not GGUF.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
    except OSError as error:
        raise ConfigurationError(
            f"{variable}={path} cannot be read ({error.strerror}); name a .gguf file that exists."
        ) from error
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise ConfigurationError(f"{variable}={path} is not a GGUF file; name a whole .gguf file.")
    _, version, tensors, _ = _HEADER.unpack(header)
    if version not in _VERSIONS or tensors == 0:
        raise ConfigurationError(
            f"{variable}={path} is GGUF version {version} with {tensors} tensors; "
            "allowed are little-endian versions 2 and 3 with at least one tensor."
        )
