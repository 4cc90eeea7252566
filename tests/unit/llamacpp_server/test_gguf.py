import struct
from pathlib import Path

import pytest

from launcher.errors import ConfigurationError
from llamacpp_server.gguf import require_gguf


def head(magic: bytes = b"GGUF", version: int = 3, tensors: int = 1) -> bytes:
    return struct.pack("<4sIQQ", magic, version, tensors, 0)


@pytest.mark.parametrize("version", [2, 3])
def test_a_file_that_begins_well(tmp_path: Path, version: int) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(head(version=version))

    require_gguf(file, "LLAMACPP_MODEL")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory); name a .gguf file that exists."),
        (b"", "is not a GGUF file; name a whole .gguf file."),
        (head()[:-1], "is not a GGUF file; name a whole .gguf file."),
        (head(magic=b"GGML"), "is not a GGUF file; name a whole .gguf file."),
        (head(version=1), "is GGUF version 1 with 1 tensors; allowed are"),
        (head(tensors=0), "is GGUF version 3 with 0 tensors; allowed are"),
    ],
)
def test_a_file_that_a_person_must_correct(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "a.gguf"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        require_gguf(file, "LLAMACPP_MODEL")
    assert str(caught.value).startswith(f"LLAMACPP_MODEL={file} {message}")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Is a directory"):
        require_gguf(tmp_path, "LLAMACPP_MODEL")
