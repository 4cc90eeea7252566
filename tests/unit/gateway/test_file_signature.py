from pathlib import Path

from gateway.file_signature import file_signature


def test_an_untouched_file_keeps_its_signature(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("keys: []")
    assert file_signature(file) == file_signature(file) is not None


def test_a_write_and_a_rename_over_the_file_change_it(tmp_path: Path) -> None:
    file, other = tmp_path / "keys.yaml", tmp_path / "new"
    file.write_text("keys: []")
    first = file_signature(file)
    file.write_text("keys: [ ]")
    second = file_signature(file)
    other.write_text("keys: [ ]")  # of the same size
    other.replace(file)
    assert len({first, second, file_signature(file)}) == 3


def test_a_missing_file_has_none(tmp_path: Path) -> None:
    assert file_signature(tmp_path / "missing") is None
