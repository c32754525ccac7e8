"""The local cloud's own certificate authority: the Azure SDKs refuse to send a token without TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

VALIDITY = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)
_CLOCK_SKEW = dt.timedelta(hours=1)


def ensure_certificates(state_dir: Path) -> None:
    """Make certs/ca.pem, certs/server.pem (for 127.0.0.1, ::1 and localhost) and certs/server.key.

    Does nothing while they have more than 30 days to live. The authority's own key is thrown away once it
    has signed: whoever trusts ca.pem trusts this one server certificate and nothing else, and a renewal
    makes both anew.
    """
    folder = state_dir / "certs"
    now = dt.datetime.now(dt.UTC)
    if _still_good(folder, now):
        return
    folder.mkdir(parents=True, exist_ok=True)

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key, now)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = _server(server_key.public_key(), ca, ca_key, now)

    # The authority comes last: an interrupted run leaves what does not verify, and `_still_good` says so.
    _write(folder / "server.key", _pem(server_key), mode=0o600)
    _write(folder / "server.pem", server.public_bytes(serialization.Encoding.PEM))
    _write(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM))
    log.info("issued certificates in %s, valid until %s", folder, server.not_valid_after_utc.date())


def _still_good(folder: Path, now: dt.datetime) -> bool:
    try:
        ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        server = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), password=None)
        server.verify_directly_issued_by(ca)
    except Exception as error:  # noqa: BLE001 - missing, torn, foreign: whatever is wrong, new ones cure it
        log.debug("certificates in %s are not usable: %s", folder, error)
        return False
    oldest = min(ca.not_valid_after_utc, server.not_valid_after_utc)
    return key.public_key() == server.public_key() and oldest - now > RENEW_BEFORE


def _authority(key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localcloud certificate authority")])
    return (
        _builder(name, name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: ec.EllipticCurvePublicKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localcloud")])
    hosts = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
    )
    return (
        _builder(name, ca.subject, key, now)
        .add_extension(hosts, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + VALIDITY)
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace atomically, never readable by others for a moment when `mode` forbids it."""
    temporary = file.with_name(file.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    temporary.replace(file)
