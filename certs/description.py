"""The content of a certificate in plain values, and its fingerprints."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, kw_only=True)
class Description:
    """The members of a certificate that an operator asks for. Instants are aware and in UTC."""

    subject: str
    issuer: str
    serial: str
    alternative_names: tuple[str, ...]
    usages: tuple[str, ...]
    """`authority`, `server` and `client`, as far as the certificate restricts itself to them."""
    key: str
    not_before: datetime
    not_after: datetime
    sha256: str
    openadr_fingerprint: str

    def expired(self, at: datetime) -> bool:
        """Return True if it has expired at the instant ``at``."""
        return at > self.not_after


def describe(certificate: x509.Certificate) -> Description:
    """Read a certificate, whoever made it."""
    return Description(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        alternative_names=_alternative_names(certificate),
        usages=_usages(certificate),
        key=_key(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha256=sha256_fingerprint(certificate),
        openadr_fingerprint=openadr_fingerprint(certificate),
    )


def sha256_fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the whole certificate: 32 bytes in hexadecimal, separated by colons."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def openadr_fingerprint(certificate: x509.Certificate) -> str:
    """Return the short form by which OpenADR 2.0b registers a VEN: the last 10 bytes of the SHA-256."""
    return certificate.fingerprint(hashes.SHA256())[-10:].hex(":").upper()


def is_authority(certificate: x509.Certificate) -> bool:
    """Return True if it may sign other certificates."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    authority = ("authority",) if is_authority(certificate) else ()
    try:
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return authority
    return authority + tuple(_USAGES.get(usage, usage.dotted_string) for usage in extended)


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, EllipticCurvePublicKey):
        return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
    if isinstance(key, RSAPublicKey):
        return f"RSA {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey")
