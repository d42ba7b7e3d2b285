"""The CA that `llamaq up` makes for its Redis, and the certificate that it signs."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llamaq.home import write_private

_VALID = timedelta(days=20 * 365)  # clients know its fingerprint: a date adds nothing
_BEFORE = timedelta(days=1)  # clocks differ


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The paths of the files. `chain` has the server's certificate, then that of the CA."""

    ca: Path
    ca_key: Path
    chain: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the CA's certificate, in hex."""
        certificate = x509.load_pem_x509_certificate(self.ca.read_bytes())
        return sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def keep_certificates(folder: Path, hosts: Iterable[str]) -> TlsFiles:
    """Makes a CA in this folder where there is none, and a new certificate for these hosts.

    Raises `OSError`, and `ValueError` where what is there can't be read.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    files = TlsFiles(*(folder / name for name in ("ca.pem", "ca.key", "server.pem", "server.key")))
    if not files.ca.exists() or not files.ca_key.exists():
        _make_ca(files)
    ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
    ca_key = serialization.load_pem_private_key(files.ca_key.read_bytes(), None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{files.ca_key} holds another kind of key")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("llamaq Redis", ca.subject, key, is_ca=False).add_extension(
        x509.SubjectAlternativeName([_named(host) for host in hosts]), critical=False
    )
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    signed = builder.add_extension(usage, critical=False).sign(ca_key, hashes.SHA256())
    write_private(files.key, _pem_of(key))
    write_private(files.chain, _pem(signed) + _pem(ca))
    return files


def _make_ca(files: TlsFiles) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # Each `up` has a CA with a name of its own.
    name = f"llamaq CA {os.urandom(4).hex()}"
    builder = _builder(name, _name(name), key, is_ca=True)
    write_private(files.ca_key, _pem_of(key))
    write_private(files.ca, _pem(builder.sign(key, hashes.SHA256())))


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_ca: bool
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), True)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
