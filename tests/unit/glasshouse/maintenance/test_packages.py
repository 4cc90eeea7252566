from pathlib import Path

from glasshouse.maintenance.packages import Packages


def test_what_an_installer_replaced_added_or_removed_comes_back(tmp_path: Path) -> None:
    venv = tmp_path / ".venv"
    venv.mkdir()
    for name in ("replaced", "removed", ".installed"):
        (venv / name).write_text("old")
    packages = Packages(tmp_path)
    packages.keep()
    (venv / "replaced").unlink()
    (venv / "replaced").write_text("new")
    (venv / "removed").unlink()
    (venv / "added").touch()
    packages.put_back()
    assert sorted(path.name for path in venv.iterdir()) == [".installed", "removed", "replaced"]
    assert (venv / "replaced").read_text() == "old"
    assert not (tmp_path / ".venv-before").exists()


def test_a_copy_that_is_not_needed_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    packages = Packages(tmp_path)
    packages.keep()
    packages.keep()  # one that was killed left the first
    packages.forget()
    assert [path.name for path in tmp_path.iterdir()] == [".venv"]
