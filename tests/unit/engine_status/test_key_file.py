from pathlib import Path

import pytest

from engine_status.errors import ConfigurationError
from engine_status.key_file import read_key


def test_no_file_means_no_key() -> None:
    assert read_key("") is None


def test_the_key_without_its_newline(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sekret\n")

    assert read_key(str(file)) == "sekret"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "exactly one key"),
        (b" \n", "exactly one key"),
        (b"two words", "exactly one key"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_file_that_holds_no_key(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        read_key(str(file))
    assert f"ENGINE_KEY_FILE={file}" in str(caught.value)
    assert said in str(caught.value)
    assert "words" not in str(caught.value)
