"""Secrets that cannot be written: enough where nothing is missing, and what is missing is named."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from glasshouse.errors import SecretsError
from glasshouse.secrets import bootstrap, certificate, engine_key, keys
from glasshouse.settings import Settings, load
from glasshouse.stack.compose import init_container

SOMEBODY = 54_321


@pytest.fixture
def complete(settings: Settings) -> Settings:
    bootstrap.create_missing(settings, docker=True)
    return settings


@pytest.fixture
def mounted(complete: Settings) -> Iterator[Settings]:
    """The secrets of `complete` on a read-only mount, as a container or a vault gives them."""
    place = complete.root / "read-only"
    place.mkdir()
    for command in (("mount", "--bind", complete.secrets_dir, place), ("mount", "-o", "remount,bind,ro", place)):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(("umount", place), capture_output=True, check=False)
            pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    try:
        yield load(complete.root, {"SECRETS_DIR": str(place)})
    finally:
        subprocess.run(("umount", "-l", place), check=True)


def test_complete_ones_are_enough_on_a_read_only_mount(mounted: Settings) -> None:
    assert bootstrap.create_missing(mounted) == ()


def test_in_a_container_too(complete: Settings, mounted: Settings, tmp_path: Path) -> None:
    for name in ("hub", "grafana"):
        (complete.secrets_dir / name).mkdir(exist_ok=True)
    (complete.secrets_dir / "grafana" / "smtp-password").touch()
    (tmp_path / "data").mkdir()
    assert init_container.init(mounted, SOMEBODY, SOMEBODY, tmp_path / "data") == ()


def test_all_that_is_missing_is_named_and_nothing_else(complete: Settings, mounted: Settings) -> None:
    complete.engine_key_file.unlink()
    complete.certificate.unlink()
    with pytest.raises(SecretsError) as caught:
        bootstrap.create_missing(mounted)
    message = str(caught.value)
    assert "read-only/engine/engine-key, " in message
    assert "read-only/tls/cert.pem are missing and cannot be created: [Errno 30] Read-only file system" in message
    assert "keys.yaml" not in message


def test_a_missing_table_of_keys_is_named(complete: Settings, mounted: Settings) -> None:
    complete.keys_file.unlink()
    with pytest.raises(SecretsError, match=r"read-only/gateway/keys\.yaml is missing and cannot be created"):
        bootstrap.create_missing(mounted)


def test_a_key_moved_away_and_no_next_engine_key_are_no_reason_to_write(complete: Settings, mounted: Settings) -> None:
    complete.api_key_file.unlink()
    engine_key.next_file(complete).unlink()
    (complete.secrets_dir / ".lock").unlink()
    assert bootstrap.create_missing(mounted) == ()


def test_a_certificate_that_should_be_replaced_is_used_and_said(
    complete: Settings, mounted: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    old = certificate.make(now=datetime.now(UTC) - timedelta(days=195))
    complete.certificate.write_text(old.certificate)
    complete.certificate_key.write_text(old.key)
    assert bootstrap.create_missing(mounted) == ()
    assert "tls/cert.pem should be replaced, but cannot be written: the old one was about" in capsys.readouterr().out


def test_a_key_cannot_be_added_there_and_the_file_is_named(mounted: Settings) -> None:
    with pytest.raises(OSError, match=r"Read-only file system: '.*keys\.yaml"):
        keys.add(mounted.keys_file, keys.Entry("alice", keys.digest("sk-x")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_who_may_only_read_starts_too(complete: Settings) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own directories are closed to others
        secrets = Path(place) / "secrets"
        shutil.copytree(complete.secrets_dir, secrets)
        for path in (secrets.parent, secrets, *secrets.rglob("*")):
            path.chmod(0o755)
        program = (
            "import os; from pathlib import Path; from glasshouse import settings; "
            "from glasshouse.secrets import bootstrap; "
            f"its = settings.load(Path({str(complete.root)!r}), {{'SECRETS_DIR': {str(secrets)!r}}}); "
            f"os.setgroups([]); os.setgid({SOMEBODY}); os.setuid({SOMEBODY}); print(bootstrap.create_missing(its))"
        )
        done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout) == (0, "()\n"), done.stderr
