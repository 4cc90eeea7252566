"""What an upgrade asks of a backup; whole restores are in test_backup.py."""

from tests.unit.glasshouse.maintenance.conftest import Checkout

from glasshouse.maintenance import archive, backup
from glasshouse.maintenance.restore import BackedUpData
from glasshouse.stack import detect


def test_only_what_has_changed_since_differs_and_comes_back(checkout: Checkout) -> None:
    settings = checkout("here")
    backup.backup(settings, settings.root / "b.tar")
    saved = BackedUpData(archive.check(settings.root / "b.tar"), detect.of_kind(settings, "native").data)
    assert "settings" not in saved.names
    assert not any(saved.differs(name) for name in saved.names)
    key = settings.engine_key_file.read_text()
    settings.engine_key_file.write_text("another")
    assert [name for name in saved.names if saved.differs(name)] == ["secrets/engine"]
    saved.restore(["secrets/engine"])
    assert settings.engine_key_file.read_text() == key
