import pytest
from tests.unit.glasshouse.maintenance.conftest import Checkout
from typer.testing import CliRunner

from glasshouse.errors import BackupError
from glasshouse.maintenance.commands import app


def test_a_backup_goes_to_the_file_that_is_named(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = checkout("here")
    monkeypatch.chdir(settings.root)
    monkeypatch.setenv("SHAPE", "native")
    done = CliRunner().invoke(app, ["backup", "--file", "mine.tar"])
    assert done.exit_code == 0, done.output
    assert (settings.root / "mine.tar").is_file()


def test_a_restore_without_a_file_names_the_backups_that_there_are(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = checkout("here")
    monkeypatch.chdir(settings.root)
    (settings.root / "backups").mkdir()
    (settings.root / "backups" / "glasshouse-1.tar").touch()
    done = CliRunner().invoke(app, ["restore"])
    assert isinstance(done.exception, BackupError)
    assert str(done.exception) == "Which backup? make restore FILE=…\n  backups/glasshouse-1.tar"
