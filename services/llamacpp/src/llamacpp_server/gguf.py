"""The .gguf file, looked at before llama.cpp is."""

import struct
from pathlib import Path

from launcher.errors import ConfigurationError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_HEAD = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of metadata entries


def require_gguf(path: Path, variable: str) -> None:
    """Make sure that a file is there and begins as GGUF does.

    Only what a person must correct is refused: a file that is still being copied begins well too, and llama.cpp finds
    out at loading, after which the launcher waits for the file to change.

    Raises:
        ConfigurationError: it is missing, unreadable or something else.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD.size)
    except OSError as error:
        raise ConfigurationError(
            f"{variable}={path} cannot be read ({error.strerror}); name a .gguf file that exists."
        ) from error
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
        raise ConfigurationError(f"{variable}={path} is not a GGUF file; name a whole .gguf file.")
    _, version, tensors, _ = _HEAD.unpack(head)
    if version not in _VERSIONS or tensors == 0:
        raise ConfigurationError(
            f"{variable}={path} is GGUF version {version} with {tensors} tensors; "
            "allowed are little-endian versions 2 and 3 with at least one tensor."
        )
