import stat
from pathlib import Path

import pytest

from glasshouse.errors import SecretsError
from glasshouse.secrets import bootstrap, engine_key
from glasshouse.settings import Settings


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_lost_engine_key_is_replaced_by_the_one_that_engines_accept_already(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    following = engine_key.next_file(settings)
    accepted = following.read_text()
    settings.engine_key_file.unlink()
    bootstrap.create_missing(settings)
    assert settings.engine_key_file.read_text() == accepted
    assert following.read_text() != accepted


def test_a_rotation_puts_the_next_engine_key_into_force_and_makes_another(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    following = engine_key.next_file(settings)
    old, accepted = settings.engine_key_file.read_text(), following.read_text()
    engine_key.rotate(settings)
    assert settings.engine_key_file.read_text() == accepted
    assert len({old, accepted, following.read_text()}) == 3
    assert {_mode(settings.engine_key_file), _mode(following)} == {0o600}
    following.write_text(accepted)  # as if it had been cut short between its two files
    engine_key.rotate(settings)
    assert settings.engine_key_file.read_text() == accepted
    assert following.read_text() != accepted


def test_without_a_next_engine_key_nothing_is_rotated(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    before = settings.engine_key_file.read_text()
    engine_key.next_file(settings).unlink()
    with pytest.raises(SecretsError, match=r"cannot be rotated: .*engine-key\.next"):
        engine_key.rotate(settings)
    assert settings.engine_key_file.read_text() == before


def test_only_a_missing_key_is_created(settings: Settings) -> None:
    settings.secrets_dir.mkdir()
    assert engine_key.ensure(settings)
    before = settings.engine_key_file.read_text(), engine_key.next_file(settings).read_text()
    assert not engine_key.ensure(settings)
    assert (settings.engine_key_file.read_text(), engine_key.next_file(settings).read_text()) == before


def test_the_next_key_has_a_time_of_creation(settings: Settings) -> None:
    with pytest.raises(SecretsError, match=r"There is no next engine key to put into force \(.*engine-key\.next\)"):
        engine_key.next_created_at(settings)
    bootstrap.create_missing(settings)
    assert engine_key.next_created_at(settings) == engine_key.next_file(settings).stat().st_mtime
