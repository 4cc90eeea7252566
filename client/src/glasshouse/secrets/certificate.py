"""The self-signed certificate, so that keys and prompts are encrypted from the first request on."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_COMMON_NAME = "Glasshouse (self-signed)"
LIFETIME = timedelta(days=199)  # clients refuse certificates that are valid for more than 200 days
_RENEW_BEFORE = timedelta(days=21)  # the alert CertificateExpiringSoon comes at 14


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


def make(names: Sequence[str] = (), now: datetime | None = None, key: str | None = None) -> CertificatePair:
    """A certificate for this machine and `names`, valid for 199 days from `now`, and its key.

    Args:
        names: further host names and addresses that clients use.
        now: when its validity begins; the current time if None.
        key: the private key (PEM, EC or RSA) to use; a new one (EC P-256) if None.

    Raises:
        ValueError: A name is not ASCII, or `key` is not such a key.
    """
    now = now or datetime.now(UTC)
    private = _private_key(key)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _COMMON_NAME)])
    public = private.public_key()
    hostname = socket.gethostname()
    # Other containers reach the endpoint as `nginx`.
    own = ("localhost", "nginx", *((hostname,) if hostname.isascii() and hostname else ()))
    general = [_general_name(text) for text in dict.fromkeys((*own, *names, "127.0.0.1", "::1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a clock that is slightly behind accepts it
        .not_valid_after(now - timedelta(hours=1) + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(general), critical=False)
        # Not an authority: whoever trusts this file trusts this server, and nothing that its key may sign.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem_key = key or private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return CertificatePair(pem.decode(), pem_key if isinstance(pem_key, str) else pem_key.decode())


def _private_key(pem: str | None) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if pem is None:
        return ec.generate_private_key(ec.SECP256R1())
    try:
        found = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError as error:  # it is encrypted
        raise ValueError(str(error)) from error
    if not isinstance(found, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("neither an EC nor an RSA key")  # noqa: TRY004 - a wrong file, not a wrong argument
    return found


def renewal_reason(certificate: str, key: str, names: Sequence[str] = (), now: datetime | None = None) -> str | None:
    """Why a certificate of ours has to be renewed; None if it is valid, or the owner's own.

    Args:
        certificate: PEM; the first one, if there are several.
        key: the private key, PEM.
        names: host names and addresses that it has to be valid for.
        now: the current time if None.

    Raises:
        ValueError: The text is not a certificate.
    """
    parsed = x509.load_pem_x509_certificate(certificate.encode())
    if not _is_ours(parsed):
        return None
    if parsed.not_valid_after_utc - (now or datetime.now(UTC)) < _RENEW_BEFORE:
        return "the old one was about to expire"
    if not _matches(parsed, key):
        return "the key beside the old one did not match"
    known = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if missing := [name for name in names if _general_name(name) not in known]:
        return f"the old one did not name {missing[0]}"
    return None


def is_managed(certificate: str) -> bool:
    """Whether Glasshouse created a certificate (PEM), and so renews it.

    Raises:
        ValueError: The text is not a certificate.
    """
    return _is_ours(x509.load_pem_x509_certificate(certificate.encode()))


def _is_ours(certificate: x509.Certificate) -> bool:
    issuer = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return certificate.issuer == certificate.subject and bool(issuer) and issuer[0].value == _COMMON_NAME


def _matches(certificate: x509.Certificate, key: str) -> bool:
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        return False
    return private.public_key() == certificate.public_key()


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
