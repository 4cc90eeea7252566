import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.errors import Unauthorized
from gateway.policies.keys import KeyRing
from gateway.settings import Settings as GatewaySettings
from glasshouse.errors import KeysError, SecretsError
from glasshouse.secrets import bootstrap, certificate, engine_key, keys, layout
from glasshouse.settings import Settings


def _contents(settings: Settings) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in settings.secrets_dir.rglob("*") if path.is_file()}


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_start_makes_everything_that_the_programs_need(settings: Settings) -> None:
    made = {created.path for created in bootstrap.create_missing(settings)}
    assert made == {settings.engine_key_file, settings.api_key_file, settings.keys_file, settings.certificate}
    assert _mode(settings.secrets_dir) == 0o700
    assert _mode(settings.secrets_dir / "tls") == 0o700
    private = (settings.engine_key_file, settings.api_key_file, settings.keys_file, settings.certificate_key)
    assert {_mode(path) for path in private} == {0o600}

    key = settings.api_key_file.read_text().strip()
    assert KeyRing(settings.keys_file).authenticate(key.encode()).role == "admin"
    assert key not in settings.keys_file.read_text()
    accepted = GatewaySettings.load(engines="a=http://h:1", engine_key_file=settings.engine_key_file)
    assert accepted.engine_key() is not None


def test_the_privacy_canary_gets_a_users_key_where_it_is_enabled(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    enabled = settings.model_copy(update={"privacy_canary": True})
    (made,) = bootstrap.create_missing(enabled)
    assert made.path == layout.privacy_canary_key_file(enabled)
    assert _mode(made.path) == 0o600
    first = made.path.read_text().strip()
    key = KeyRing(settings.keys_file).authenticate(first.encode())
    assert (key.name, key.role) == ("privacy-canary", "user")
    assert bootstrap.create_missing(enabled) == ()

    made.path.unlink()
    assert len(bootstrap.create_missing(enabled)) == 1
    ring = KeyRing(settings.keys_file)
    assert ring.authenticate(made.path.read_text().strip().encode()).name == "privacy-canary"
    with pytest.raises(Unauthorized):  # the one that was lost
        ring.authenticate(first.encode())


def test_a_second_run_changes_nothing(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    before = _contents(settings)
    assert bootstrap.create_missing(settings) == ()
    assert _contents(settings) == before


@pytest.mark.parametrize("lost", ["engine/engine-key", "tls/cert.pem", "tls/key.pem", "gateway/keys.yaml"])
def test_a_lost_file_is_made_again_without_touching_the_others(settings: Settings, lost: str) -> None:
    bootstrap.create_missing(settings)
    before = _contents(settings)
    (settings.secrets_dir / lost).unlink()
    assert len(bootstrap.create_missing(settings)) == 1
    after = _contents(settings)
    assert set(after) == set(before)
    changed = {str(path.relative_to(settings.secrets_dir)) for path in after if after[path] != before[path]}
    together = {"tls/cert.pem", "tls/key.pem"}, {"engine/engine-key", "engine/engine-key.next"}
    assert changed <= next((group for group in together if lost in group), {lost})


def test_a_lost_table_is_made_with_the_key_that_is_there(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    settings.keys_file.unlink()
    bootstrap.create_missing(settings)
    key = settings.api_key_file.read_text().strip()
    assert [entry.sha256 for entry in keys.read(settings.keys_file)] == [keys.digest(key)]


def test_a_key_that_its_owner_moved_away_is_left_alone(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    before = settings.keys_file.read_text()
    settings.api_key_file.unlink()
    assert bootstrap.create_missing(settings) == ()
    assert (settings.api_key_file.exists(), settings.keys_file.read_text()) == (False, before)


def test_a_table_without_a_key_gets_the_first_one(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    settings.api_key_file.unlink()
    settings.keys_file.write_text("keys: []\n")
    bootstrap.create_missing(settings)
    key = settings.api_key_file.read_text().strip()
    assert [entry.sha256 for entry in keys.read(settings.keys_file)] == [keys.digest(key)]


def test_a_certificate_about_to_expire_is_renewed_and_an_owners_own_is_not(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    old = certificate.make(now=datetime.now(UTC) - timedelta(days=195))
    settings.certificate.write_text(old.certificate)
    settings.certificate_key.write_text(old.key)
    (made,) = bootstrap.create_missing(settings)
    assert made.path == settings.certificate
    assert "expire" in made.description


def test_a_renewal_looks_at_nothing_else(settings: Settings) -> None:
    """In its container it sees the certificate's directory, and no other secret."""
    settings.certificate.parent.mkdir(parents=True)
    pair = certificate.make(now=datetime.now(UTC) - timedelta(days=195))
    settings.certificate.write_text(pair.certificate)
    settings.certificate_key.write_text(pair.key)
    (made,) = bootstrap.ensure_certificate(settings)
    assert "the old one was about to expire" in made.description
    assert settings.certificate_key.read_text() == pair.key
    assert certificate.renewal_reason(settings.certificate.read_text(), pair.key) is None
    after = _contents(settings)
    assert {path.name for path in after} == {".lock", "cert.pem", "key.pem"}
    assert bootstrap.ensure_certificate(settings) == ()
    assert _contents(settings) == after


def test_a_renewal_says_what_is_wrong(settings: Settings) -> None:
    settings.certificate.parent.mkdir(parents=True)
    settings.certificate.write_text("nonsense")
    with pytest.raises(SecretsError, match=r"cert\.pem is not a certificate"):
        bootstrap.ensure_certificate(settings)


def test_a_lost_certificate_is_made_for_the_key_that_is_there(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    key = settings.certificate_key.read_text()
    settings.certificate.unlink()
    assert [created.path for created in bootstrap.create_missing(settings)] == [settings.certificate]
    assert settings.certificate_key.read_text() == key
    assert certificate.renewal_reason(settings.certificate.read_text(), key) is None


def test_a_certificate_of_an_authority_is_never_replaced(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, subject = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("CA", "llm.example.org"))
    long_ago = datetime.now(UTC) - timedelta(days=400)
    foreign = x509.CertificateBuilder(issuer, subject, key.public_key(), 1, long_ago, long_ago + timedelta(days=90))
    text = foreign.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    settings.certificate.write_text(text)
    assert bootstrap.create_missing(settings) == ()
    settings.certificate_key.unlink()
    with pytest.raises(SecretsError, match=r"key\.pem is missing, and Glasshouse did not create the certificate"):
        bootstrap.create_missing(settings)
    assert settings.certificate.read_text() == text


def test_a_key_that_cannot_be_used_is_replaced_only_beside_a_certificate_of_ours(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    settings.certificate_key.write_text("nonsense")
    (made,) = bootstrap.create_missing(settings)
    assert "did not match" in made.description
    assert certificate.renewal_reason(settings.certificate.read_text(), settings.certificate_key.read_text()) is None
    settings.certificate.unlink()
    settings.certificate_key.write_text("the owner's, in a form unknown here")
    with pytest.raises(SecretsError, match=r"key\.pem is not a usable key"):
        bootstrap.create_missing(settings)
    assert settings.certificate_key.read_text() == "the owner's, in a form unknown here"


def test_wrong_files_are_named_and_left(settings: Settings) -> None:
    bootstrap.create_missing(settings)
    settings.certificate.write_text("nonsense")
    with pytest.raises(SecretsError, match=r"cert\.pem is not a certificate"):
        bootstrap.create_missing(settings)
    settings.api_key_file.unlink()
    settings.keys_file.write_text("keys: 3")
    with pytest.raises(KeysError, match=r"keys\.yaml"):
        bootstrap.create_missing(settings)
    assert not settings.api_key_file.exists()


@pytest.mark.parametrize("name", ["api-key", "engine/engine-key", "tls/cert.pem"])
def test_a_secret_that_is_a_link_is_made_and_kept_where_it_leads(settings: Settings, tmp_path: Path, name: str) -> None:
    link, target = settings.secrets_dir / name, tmp_path / "vault"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    bootstrap.create_missing(settings)
    assert target.read_text()
    before = target.read_text()
    bootstrap.create_missing(settings)
    engine_key.rotate(settings)
    assert link.is_symlink()
    assert (target.read_text() == before) == (name != "engine/engine-key")


def test_a_directory_that_cannot_be_made_is_said(settings: Settings) -> None:
    settings.secrets_dir.write_text("a file in its place")
    with pytest.raises(SecretsError, match="cannot be created"):
        bootstrap.create_missing(settings)
