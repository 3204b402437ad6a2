"""Issue certificates with which clients prove to the MQTT broker who they are (MQTT-004).

They are made when a client asks and kept nowhere: what one may do is decided by its name, which is that of an account.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vtn.errors import StartFailed

_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate and its private key, as PEM."""

    certificate: str
    key: str


class ClientAuthority:
    """Signs certificates of clients with a key from a file."""

    def __init__(self, cert: Path, key: Path, *, lifetime: timedelta, now: Callable[[], datetime]) -> None:
        """Read the files; raises StartFailed if they are no authority."""
        self._lifetime = lifetime
        self._now = now
        try:
            self._certificate = x509.load_pem_x509_certificate(cert.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a certificate and its key, as PEM"
            raise StartFailed(f"mqtt.access.client_ca_cert and client_ca_key: {reason}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise StartFailed("mqtt.access.client_ca_key: expected a key of an elliptic curve or RSA")
        if private.public_key() != self._certificate.public_key():
            raise StartFailed("mqtt.access.client_ca_key is not the key of client_ca_cert")
        self._key = private

    def issue(self, name: str) -> ClientCertificate:
        """Return a new certificate for a user name, with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._now()
        ends = min(now + self._lifetime, self._certificate.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(_USAGE, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return ClientCertificate(certificate.public_bytes(pem).decode(), private.decode())


_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
