import os
from pathlib import Path

import pytest

from glasshouse import container, keys
from glasshouse.errors import SecretsError
from glasshouse.settings import Settings, load

UID, GID = (10001, 10001) if os.geteuid() == 0 else (os.getuid(), os.getgid())


@pytest.fixture
def volumes(tmp_path: Path) -> tuple[Path, Path]:
    """As Docker makes them: empty, of whoever runs it."""
    hand, data = tmp_path / "hand", tmp_path / "data"
    for name in ("engine", "hub", "grafana"):
        (hand / name).mkdir(parents=True)
    for name in ("prometheus", "models"):
        (data / name).mkdir(parents=True)
    return hand, data


def owners(*roots: Path) -> set[tuple[int, int]]:
    return {(path.stat().st_uid, path.stat().st_gid) for root in roots for path in (root, *root.rglob("*"))}


def test_everything_is_made_copied_and_given_away(settings: Settings, volumes: tuple[Path, Path]) -> None:
    hand, data = volumes
    made = {one.path.name for one in container.init(settings, UID, GID, hand, data)}
    assert made == {"engine-key", "api-key", "keys.yaml", "grafana-password", "cert.pem"}
    assert (hand / "engine" / "engine-key").read_bytes() == settings.engine_key_file.read_bytes()
    assert (hand / "grafana" / "grafana-password").read_bytes() == settings.grafana_password_file.read_bytes()
    assert {path.name for path in hand.rglob("*") if path.is_file()} == {
        *("engine-key", "grafana-password", "smtp-password"),
    }  # fmt: skip
    assert owners(settings.secrets_dir, *hand.iterdir(), *data.iterdir()) == {(UID, GID)}
    assert (hand / "engine" / "engine-key").stat().st_mode & 0o777 == 0o600


def test_a_second_run_changes_nothing(settings: Settings, volumes: tuple[Path, Path]) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        roots = (settings.secrets_dir, *volumes)
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for root in roots for path in root.rglob("*")}

    container.init(settings, UID, GID, *volumes)
    before = state()
    assert container.init(settings, UID, GID, *volumes) == ()
    before.pop(settings.secrets_dir / ".lock")
    after = state()
    after.pop(settings.secrets_dir / ".lock")
    assert after == before


def test_copies_follow_what_changes(settings: Settings, volumes: tuple[Path, Path]) -> None:
    hand, data = volumes
    container.init(settings, UID, GID, hand, data)
    settings.engine_key_file.unlink()
    (settings.secrets_dir / "hf-token").write_text("hf_of_the_owner\n")
    container.init(settings, UID, GID, hand, data)
    assert (hand / "engine" / "engine-key").read_bytes() == settings.engine_key_file.read_bytes()
    assert (hand / "hub" / "hf-token").read_text() == "hf_of_the_owner\n"
    (settings.secrets_dir / "hf-token").unlink()
    container.init(settings, UID, GID, hand, data)
    assert not (hand / "hub" / "hf-token").exists()


def test_a_lost_password_of_grafana_is_the_one_that_grafana_knows(
    settings: Settings, volumes: tuple[Path, Path]
) -> None:
    container.init(settings, UID, GID, *volumes)
    before = settings.grafana_password_file.read_text()
    settings.grafana_password_file.unlink()
    container.init(settings, UID, GID, *volumes)
    assert settings.grafana_password_file.read_text() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_added_by_root_is_still_the_services(settings: Settings, volumes: tuple[Path, Path]) -> None:
    container.init(settings, UID, GID, *volumes)
    keys.add(settings.keys_file, keys.Entry("alice", keys.digest("sk-x")))
    assert owners(settings.secrets_dir) == {(UID, GID)}
    assert settings.keys_file.stat().st_mode & 0o777 == 0o600


def test_alerts_need_an_address(root: Path, volumes: tuple[Path, Path]) -> None:
    slack = load(root, {"ALERTS_TO": "slack"})
    with pytest.raises(SecretsError, match="ALERTS_TO='slack', but the file alert-url"):
        container.init(slack, UID, GID, *volumes)
    (slack.secrets_dir / "alert-url").write_text("https://chat.example.org/hook\n")
    container.init(slack, UID, GID, *volumes)
    assert (volumes[0] / "grafana" / "alert-url").read_text() == "https://chat.example.org/hook\n"


def test_mail_needs_an_address_and_a_server_and_no_password(root: Path, volumes: tuple[Path, Path]) -> None:
    with pytest.raises(SecretsError, match=r"ALERTS_TO='email', but ALERTS_EMAIL and SMTP_HOST in \.env must be set"):
        container.init(load(root, {"ALERTS_TO": "email"}), UID, GID, *volumes)
    mail = {"ALERTS_TO": "email", "ALERTS_EMAIL": "a@example.org", "SMTP_HOST": "smtp.example.org:587"}
    settings, copy = load(root, mail), volumes[0] / "grafana" / "smtp-password"
    container.init(settings, UID, GID, *volumes)
    assert copy.read_text() == ""  # Grafana reads it whether there is one or not
    (settings.secrets_dir / "smtp-password").write_text("open sesame")
    container.init(settings, UID, GID, *volumes)
    assert copy.read_text() == "open sesame"
