"""The self-signed certificate of a first start, so that keys and prompts travel encrypted from the first request on."""

import ipaddress
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_COMMON_NAME = "Glasshouse (self-signed)"
_LIFETIME = timedelta(days=199)  # clients refuse certificates that are valid for more than 200 days
_RENEW_BEFORE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


def make(now: datetime | None = None) -> Pair:
    """A new key (EC P-256) and a certificate for this machine's names, good for 199 days from `now`."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _COMMON_NAME)])
    public = key.public_key()
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    hostname = socket.gethostname()
    if hostname.isascii() and hostname not in {"", "localhost"}:
        names.append(x509.DNSName(hostname))
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a clock that is a little behind still accepts it
        .not_valid_after(now - timedelta(hours=1) + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # Not an authority: whoever trusts this file trusts this server, and nothing that its key might sign.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), pem_key.decode())


def needs_renewal(certificate: str, now: datetime | None = None) -> bool:
    """Whether `certificate` (PEM) was made here and ends within 14 days. One of the owner's own is left to them.

    Raises:
        ValueError: The text is no certificate.
    """
    parsed = x509.load_pem_x509_certificate(certificate.encode())
    names = parsed.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    ours = parsed.issuer == parsed.subject and bool(names) and names[0].value == _COMMON_NAME
    return ours and parsed.not_valid_after_utc - (now or datetime.now(UTC)) < _RENEW_BEFORE
