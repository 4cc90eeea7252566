import os
from pathlib import Path

import pytest

from glasshouse.errors import SecretsError, SettingsError
from glasshouse.secrets import bootstrap, certificate, keys
from glasshouse.settings import Settings, load
from glasshouse.stack.compose import init_container

UID, GID = (10001, 10001) if os.geteuid() == 0 else (os.getuid(), os.getgid())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Volumes as Docker makes them: empty, of whoever runs it."""
    for name in ("prometheus", "grafana", "models"):
        (tmp_path / "data" / name).mkdir(parents=True)
    return tmp_path / "data"


def owners(*roots: Path) -> set[tuple[int, int]]:
    return {(path.stat().st_uid, path.stat().st_gid) for root in roots for path in (root, *root.rglob("*"))}


def test_each_directory_holds_what_its_services_need(settings: Settings, data: Path) -> None:
    made = {each.path.name for each in init_container.init(settings, UID, GID, data)}
    assert made == {"engine-key", "api-key", "keys.yaml", "grafana-password", "cert.pem"}
    assert owners(settings.secrets_dir, *data.iterdir()) == {(UID, GID)}
    found = {str(path.relative_to(settings.secrets_dir)) for path in settings.secrets_dir.rglob("*") if path.is_file()}
    assert {name for name in found if "lock" not in name} == {
        "api-key", "gateway/keys.yaml", "engine/engine-key", "engine/engine-key.next", "tls/cert.pem", "tls/key.pem",
        "grafana/grafana-password", "grafana/smtp-password",
    }  # fmt: skip
    assert (settings.secrets_dir / "hub").is_dir()
    assert {path.stat().st_mode & 0o777 for path in settings.secrets_dir.glob("*/")} == {0o700}


def test_a_second_run_changes_nothing(settings: Settings, data: Path) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        roots = (settings.secrets_dir, data)
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for root in roots for path in root.rglob("*")}

    init_container.init(settings, UID, GID, data)
    before = state()
    assert init_container.init(settings, UID, GID, data) == ()
    before.pop(settings.secrets_dir / ".lock")
    after = state()
    after.pop(settings.secrets_dir / ".lock")
    assert after == before


def test_a_lost_password_of_grafana_is_made_and_the_owner_is_told_that_grafana_has_another(
    settings: Settings, data: Path
) -> None:
    init_container.init(settings, UID, GID, data)
    settings.grafana_password_file.unlink()
    (before_its_first_start,) = init_container.init(settings, UID, GID, data)
    assert "takes it at its first start" in before_its_first_start.description
    (data / "grafana" / "grafana.db").touch()
    settings.grafana_password_file.unlink()
    (later,) = init_container.init(settings, UID, GID, data)
    assert "reset-admin-password" in later.description


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_added_by_root_is_still_the_services(settings: Settings, data: Path) -> None:
    init_container.init(settings, UID, GID, data)
    keys.add(settings.keys_file, keys.Entry("alice", keys.digest("sk-x")))
    assert owners(settings.secrets_dir) == {(UID, GID)}
    assert settings.keys_file.stat().st_mode & 0o777 == 0o600


def test_it_makes_an_empty_password_of_the_mail_server_and_keeps_another(settings: Settings, data: Path) -> None:
    password = settings.secrets_dir / "grafana" / "smtp-password"
    init_container.init(settings, UID, GID, data)
    assert password.read_text() == ""  # Grafana reads it whether there is one or not
    password.write_text("open sesame")
    init_container.init(settings, UID, GID, data)
    assert password.read_text() == "open sesame"


@pytest.mark.parametrize(
    "variables",
    [{"ALERTS_TO": "slakc"}, {"ALERTS_TO": "slack"}, {"ALERTS_TO": "email"}, {"ALERTS_QUIET": "often"}],
    ids=["unknown", "without an address", "without a server", "quiet"],
)
def test_what_is_wrong_with_alerts_is_none_of_its_business(root: Path, data: Path, variables: dict[str, str]) -> None:
    assert init_container.init(load(root, variables), UID, GID, data)


def test_it_makes_a_certificate_where_there_is_none_and_leaves_one_that_lacks_a_name(root: Path, data: Path) -> None:
    settings = load(root, {})
    init_container.init(settings, UID, GID, data)
    first = settings.certificate.read_text()
    named = load(root, {"PUBLIC_ADDRESS": "198.51.100.7"})
    assert init_container.init(named, UID, GID, data) == ()
    assert settings.certificate.read_text() == first

    (made,) = bootstrap.ensure_certificate(named)
    assert "did not name 198.51.100.7" in made.description
    assert certificate.renewal_reason(settings.certificate.read_text(), settings.certificate_key.read_text()) is None
    assert bootstrap.ensure_certificate(named) == ()


def test_services_that_would_be_nobody_are_refused_since_an_exporter_sees_the_disk_as_nobody(
    settings: Settings, data: Path
) -> None:
    with pytest.raises(SettingsError, match=r"GLASSHOUSE_UID=65534 is not allowed: node-exporter"):
        init_container.init(settings, 65_534, 10001, data)
    assert not settings.secrets_dir.exists()


@pytest.mark.parametrize("lost", ["certificate", "certificate_key"])
def test_it_makes_a_certificate_where_half_of_the_pair_is_lost(settings: Settings, data: Path, lost: str) -> None:
    init_container.init(settings, UID, GID, data)
    file: Path = getattr(settings, lost)
    file.unlink()
    assert [each.path for each in init_container.init(settings, UID, GID, data)] == [settings.certificate]
    assert file.exists()


def test_a_link_that_leads_out_of_its_directory_is_refused_since_no_container_could_follow_it(
    settings: Settings, data: Path, tmp_path: Path
) -> None:
    init_container.init(settings, UID, GID, data)
    elsewhere = tmp_path / "keys-in-git.yaml"
    settings.keys_file.rename(elsewhere)
    settings.keys_file.symlink_to(elsewhere)
    with pytest.raises(SecretsError, match=r"gateway/keys\.yaml is a link that leads out of gateway/"):
        init_container.init(settings, UID, GID, data)
    settings.keys_file.unlink()
    elsewhere.rename(settings.keys_file.with_name("table.yaml"))
    settings.keys_file.symlink_to("table.yaml")
    assert init_container.init(settings, UID, GID, data) == ()


def test_a_directory_that_is_a_link_is_as_good_as_one(settings: Settings, data: Path, tmp_path: Path) -> None:
    init_container.init(settings, UID, GID, data)
    repository = tmp_path / "config"
    settings.keys_file.parent.rename(repository)
    settings.keys_file.parent.symlink_to(repository)
    assert init_container.init(settings, UID, GID, data) == ()
