import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from glasshouse import certificate


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


def test_renewal_is_due_two_weeks_before_the_end() -> None:
    now = datetime.now(UTC)
    assert not certificate.needs_renewal(certificate.make().certificate)
    assert not certificate.needs_renewal(certificate.make(now - timedelta(days=180)).certificate)
    assert certificate.needs_renewal(certificate.make(now - timedelta(days=190)).certificate)
    assert certificate.needs_renewal(certificate.make(now - timedelta(days=400)).certificate)
