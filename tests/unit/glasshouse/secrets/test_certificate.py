import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from glasshouse.secrets import certificate


def test_it_names_this_machine_and_lives_less_than_200_days() -> None:
    made = x509.load_pem_x509_certificate(certificate.make().certificate.encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", socket.gethostname()} <= set(names.get_values_for_type(x509.DNSName))
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    assert made.not_valid_after_utc - made.not_valid_before_utc < timedelta(days=200)
    assert made.not_valid_before_utc < datetime.now(UTC)


def test_a_client_that_trusts_it_can_connect(tmp_path: Path) -> None:
    pair = certificate.make()
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text(pair.certificate)
    key.write_text(pair.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    client = ssl.create_default_context(cafile=cert)
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13's default
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            with server.wrap_socket(accepted, server_side=True) as secure:
                secure.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        plain = socket.create_connection(listener.getsockname())
        with client.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            assert secure.recv(5) == b"hello"
        thread.join()


def test_more_names_can_be_given() -> None:
    made = x509.load_pem_x509_certificate(certificate.make(("llm.example.org", "203.0.113.7")).certificate.encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "llm.example.org" in names.get_values_for_type(x509.DNSName)
    assert "203.0.113.7" in {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def test_renewal_is_due_three_weeks_before_the_end() -> None:
    now = datetime.now(UTC)
    for age, due in ((0, False), (176, False), (179, True), (400, True)):
        pair = certificate.make(now=now - timedelta(days=age))
        assert (certificate.renewal_reason(pair.certificate, pair.key) == "the old one was about to expire") is due


def test_a_key_of_another_or_a_missing_name_is_a_reason_too() -> None:
    pair, other = certificate.make(("a.example.org",)), certificate.make()
    assert certificate.renewal_reason(pair.certificate, pair.key, ("a.example.org", "127.0.0.1")) is None
    assert (
        certificate.renewal_reason(pair.certificate, pair.key, ("b.example.org",))
        == "the old one did not name b.example.org"
    )
    for key in (other.key, "nonsense"):
        assert certificate.renewal_reason(pair.certificate, key) == "the key beside the old one did not match"


def test_a_certificate_that_was_not_made_here_is_its_owners_business() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "llm.example.org")])
    now = datetime.now(UTC)
    foreign = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=9), now - timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    assert certificate.renewal_reason(foreign.decode(), "", ("other.example.org",)) is None
