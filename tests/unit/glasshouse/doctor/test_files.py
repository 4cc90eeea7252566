import os
from pathlib import Path

import pytest
from tests.unit.glasshouse.doctor.conftest import Stub

from glasshouse.doctor import files


@pytest.fixture
def secrets(stub: Stub) -> Path:
    place = stub.docker.root / "secrets"
    for name in ("api-key", "engine/engine-key", "tls/cert.pem", "tls/key.pem"):
        path = place / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    for path in (place, *place.glob("*/")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return place


def test_mounts_that_can_be_read(stub: Stub) -> None:
    assert stub.finds(files.mounted, GLASSHOUSE_UID=str(os.getuid()))[0] == "ok"


def test_mounts_that_cannot(stub: Stub) -> None:
    (stub.docker.root / "config").mkdir(mode=0o700)
    assert stub.finds(files.mounted, GLASSHOUSE_UID="4711", GLASSHOUSE_GID="4711") == (
        "failure",
        "The containers run as user 4711, who cannot read config (drwx------)",
        "chmod -R go+rX config",
    )


def test_secrets_that_are_still_to_be_made(stub: Stub) -> None:
    assert stub.finds(files.secrets) == ("ok", "the first start creates them", "")


def test_secrets_for_their_owner(stub: Stub, secrets: Path) -> None:
    assert stub.finds(files.secrets) == ("ok", "readable by their owner only", "")
    (secrets / "api-key").chmod(0o644)  # nobody gets as far
    assert stub.finds(files.secrets)[0] == "ok"
    (secrets / "api-key").chmod(0o600)
    (secrets / "tls/cert.pem").chmod(0o644)
    secrets.chmod(0o755)
    (secrets / "nowhere").symlink_to("nothing")
    assert stub.finds(files.secrets)[0] == "ok"  # every client is shown the certificate


@pytest.mark.parametrize(("name", "mode"), [("api-key", 0o640), ("engine/engine-key", 0o604), ("engine", 0o755)])
def test_secrets_that_others_can_read(stub: Stub, secrets: Path, name: str, mode: int) -> None:
    secrets.chmod(0o711)
    (secrets / name).chmod(mode)
    assert stub.finds(files.secrets) == (
        "warning",
        f"{secrets}/{name} can be read by others, not only by its owner",
        f"chmod -R go-rwx {secrets}",
    )


def test_secrets_of_another_user(stub: Stub, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert stub.finds(files.secrets) == (
        "not checked",
        f"{secrets}/ belongs to user {secrets.stat().st_uid}: sudo make doctor",
        "",
    )
