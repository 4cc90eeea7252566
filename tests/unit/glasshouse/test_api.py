import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.glasshouse.conftest import FakeApi, serving

from glasshouse.api import Api
from glasshouse.errors import ApiError
from glasshouse.secrets.certificate import make


def test_the_key_is_sent_and_the_first_model_found(fake_api: FakeApi) -> None:
    fake_api.answers["/v1/models"] = (200, {"data": [{"id": "one"}, {"id": "two"}]})
    with Api(fake_api.url, key="sk-1") as api:
        assert api.first_model() == "one"
    assert fake_api.requests[0][1]["Authorization"] == "Bearer sk-1"


@pytest.mark.parametrize("body", [{"data": []}, {}, {"data": ["x"]}])
def test_no_model_is_said(fake_api: FakeApi, body: object) -> None:
    fake_api.answers["/v1/models"] = (200, body)
    with Api(fake_api.url) as api, pytest.raises(ApiError, match="lists no model"):
        api.first_model()


def test_a_refusal_is_shown_with_its_reason(fake_api: FakeApi) -> None:
    fake_api.answers["/v1/models"] = (401, {"error": {"message": "This API key is not known here."}})
    with Api(fake_api.url) as api, pytest.raises(ApiError, match=r"answered 401: This API key is not known here\."):
        api.first_model()


def test_nobody_there_asks_whether_it_runs() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with Api(url) as api, pytest.raises(ApiError, match=r"Nothing answers at .* Is it running\? make up"):
        api.get("/")


def test_silence_is_said_with_its_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with Api(url, timeout=0.05) as api, pytest.raises(ApiError, match="silent"):
            api.get("/")


@pytest.mark.parametrize("url", ["ftp://h", "127.0.0.1:8000", "http://", "http://h:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ApiError, match="not the address"):
        Api(url)


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=r"missing\.pem cannot be read"):
        Api("https://h", certificate=tmp_path / "missing.pem")


@pytest.fixture
def issued(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for llm.example.org by an authority that nobody here knows, and its key."""
    key, authority = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, subject = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("A", "llm.example.org"))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("llm.example.org")]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(key.private_bytes(*pem))
    return certificate, private


def test_on_this_machine_the_certificate_counts_and_not_its_name(issued: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(make().certificate)
    with serving(tls=issued) as fake:
        with Api(fake.url, certificate=issued[0]) as api:
            assert api.get("/").status == 404
        with Api(fake.url, certificate=other) as api, pytest.raises(ApiError, match="is not trusted"):
            api.get("/")


def test_elsewhere_the_name_counts_too(issued: tuple[Path, Path]) -> None:
    with (
        serving("127.0.0.2", issued) as fake,
        Api(fake.url, certificate=issued[0]) as api,
        pytest.raises(ApiError, match="is not trusted"),
    ):
        api.get("/")


def test_why_it_is_not_ready_is_a_reason(fake_api: FakeApi) -> None:
    fake_api.answers["/readyz"] = (503, {"status": "not ready", "reason": "No engine is ready."})
    with Api(fake_api.url) as api:
        assert api.get("/readyz").reason == "No engine is ready."


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:pass-word@127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://:pass-word@127.0.0.1:9", "http://127.0.0.1:9"),
        ("https://user:pass-word@[::1]:9/v1", "https://[::1]:9/v1"),
        ("ftp://user:pass-word@host", "ftp://host"),
        ("user:pass-word@host", "host"),
        ("http://user:p@ss-word@127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://user:pass-word@host:many", "http://host:many"),
    ],
)
def test_no_message_shows_the_password_in_an_address(url: str, shown: str) -> None:
    with pytest.raises(ApiError) as caught, Api(url, timeout=1) as api:
        api.get("/livez")
    assert shown in str(caught.value)
    assert "ss-word" not in str(caught.value)
