from pathlib import Path

import pytest

from launcher.errors import ConfigurationError
from launcher.key_file import read_keys


def test_no_file_means_no_key() -> None:
    assert read_keys("") == ()


def test_the_key_without_its_newline(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sekret\n")

    assert read_keys(str(file)) == ("sekret",)


def test_the_next_key_is_accepted_as_well(tmp_path: Path) -> None:
    file, following = tmp_path / "key", tmp_path / "key.next"
    file.write_text("sekret\n")
    following.write_text("another\n")

    assert read_keys(str(file)) == ("sekret", "another")
    following.write_text("sekret")  # a rotation that was cut short
    assert read_keys(str(file)) == ("sekret",)
    following.write_text("")
    with pytest.raises(ConfigurationError, match=r"key\.next must hold exactly one key"):
        read_keys(str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "exactly one key"),
        (b" \n", "exactly one key"),
        (b"two words", "exactly one key"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_file_that_holds_no_key(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        read_keys(str(file))
    assert f"ENGINE_KEY_FILE={file}" in str(caught.value)
    assert message in str(caught.value)
    assert "words" not in str(caught.value)
