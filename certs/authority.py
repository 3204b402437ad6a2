"""The authority: a key that signs, the certificate that says so, and what it issues.

The extensions are those that strict verifiers ask for (RFC 5280): key identifiers on both sides, basic constraints and
key usage marked critical, and an extended key usage, so that a client certificate cannot pose as a server.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.description import is_authority
from certs.errors import Expired, Invalid, KeyMismatch, NotAnAuthority, NotYetValid
from certs.files import Pair, PrivateKey, pair_in, read_certificates, read_key, write_pair

AUTHORITY_STEM = "ca"
AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=397)

_CLOCK_SKEW = timedelta(minutes=5)  # a device whose clock is a little behind must accept a certificate issued just now
_LONGEST_NAME = 64  # of a common name, RFC 5280 appendix A.1
_DNS_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)


class KeyKind(StrEnum):
    """Kinds of private keys."""

    EC_P256 = "ec-p256"
    RSA_2048 = "rsa-2048"


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, in memory."""

    name: str
    certificate: x509.Certificate
    key: PrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """Return the certificate in PEM form."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Return the private key in PEM form (PKCS #8), not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def save(self, directory: Path, *, force: bool = False) -> Pair:
        """Write `name.pem` and `name.key`; characters that do not belong into a file name become `_`.

        Raises:
            AlreadyExists, Unwritable
            Invalid: the name is the one of the authority's own files.
        """
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", self.name).lstrip(".") or "_"
        if stem.lower() == AUTHORITY_STEM:
            raise Invalid(
                f"{self.name!r} cannot be a file name: {AUTHORITY_STEM}.pem and {AUTHORITY_STEM}.key are kept"
            )
        pair = pair_in(directory, stem)
        write_pair(pair, certificate=self.certificate_pem, key=self.key_pem, force=force)
        return pair


class Authority:
    """Signs certificates for servers and clients. `now` gives the aware instant at which it works."""

    def __init__(self, certificate: x509.Certificate, key: PrivateKey, *, now: Callable[[], datetime]) -> None:
        """Use an existing certificate and key.

        Raises:
            NotAnAuthority: the certificate may not sign.
            KeyMismatch: the key is not the certificate's.
        """
        if not is_authority(certificate):
            raise NotAnAuthority(f"{certificate.subject.rfc4514_string()} may not sign certificates: it is not a CA")
        if key.public_key() != certificate.public_key():
            raise KeyMismatch(f"the private key does not belong to {certificate.subject.rfc4514_string()}")
        self.certificate = certificate
        self._key = key
        self._now = now

    @classmethod
    def create(
        cls,
        name: str,
        *,
        now: Callable[[], datetime],
        lifetime: timedelta = AUTHORITY_LIFETIME,
        key_kind: KeyKind = KeyKind.EC_P256,
    ) -> Self:
        """Make a new authority that signs itself and may sign no other authority.

        Raises:
            Invalid: the name or the lifetime.
        """
        key = _make_key(key_kind)
        subject = _subject(name)
        start = now()
        certificate = (
            _builder(subject, key, issuer=subject, start=start, end=_end(start, lifetime))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key, now=now)

    @classmethod
    def load(cls, directory: Path, *, now: Callable[[], datetime]) -> Self:
        """Return the authority whose files `save` wrote.

        Raises:
            Unreadable, NotACertificate, NotAKey, NotAnAuthority, KeyMismatch
        """
        pair = pair_in(directory, AUTHORITY_STEM)
        certificate, *_ = read_certificates(pair.certificate)
        try:
            return cls(certificate, read_key(pair.key), now=now)
        except KeyMismatch as error:
            raise KeyMismatch(f"{pair.key} is not the key of {pair.certificate}") from error
        except NotAnAuthority as error:
            raise NotAnAuthority(f"{pair.certificate}: {error}") from error

    @property
    def certificate_pem(self) -> bytes:
        """Return the authority's certificate in PEM form, which others need in order to trust it; it is no secret."""
        return self.certificate.public_bytes(Encoding.PEM)

    def save(self, directory: Path, *, force: bool = False) -> Pair:
        """Write `ca.pem` and `ca.key`.

        Raises:
            AlreadyExists, Unwritable
        """
        pair = pair_in(directory, AUTHORITY_STEM)
        key_pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_pair(pair, certificate=self.certificate_pem, key=key_pem, force=force)
        return pair

    def issue_server(
        self,
        name: str,
        *,
        alternative_names: Iterable[str] = (),
        lifetime: timedelta = LIFETIME,
        key_kind: KeyKind = KeyKind.EC_P256,
    ) -> Issued:
        """Return a certificate for the server that clients reach as `name` or as one of the alternatives.

        Names are DNS names (a leading `*.` is allowed) or IP addresses.

        Raises:
            Invalid, Expired, NotYetValid
        """
        return self._issue(
            name,
            names=[_general_name(each) for each in dict.fromkeys([name, *alternative_names])],
            usage=ExtendedKeyUsageOID.SERVER_AUTH,
            lifetime=lifetime,
            key_kind=key_kind,
        )

    def issue_client(
        self,
        client_id: str,
        *,
        alternative_names: Iterable[str] = (),
        lifetime: timedelta = LIFETIME,
        key_kind: KeyKind = KeyKind.EC_P256,
    ) -> Issued:
        """Return a certificate that says who a client is: its common name is the client id.

        Raises:
            Invalid, Expired, NotYetValid
        """
        return self._issue(
            client_id,
            names=[_general_name(each) for each in dict.fromkeys(alternative_names)],
            usage=ExtendedKeyUsageOID.CLIENT_AUTH,
            lifetime=lifetime,
            key_kind=key_kind,
        )

    def _issue(
        self,
        name: str,
        *,
        names: list[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        lifetime: timedelta,
        key_kind: KeyKind,
    ) -> Issued:
        start = self._now()
        self._check_valid(start)
        key = _make_key(key_kind)
        # A certificate that outlives its issuer could not be verified, so it ends with it.
        end = min(_end(start, lifetime), self.certificate.not_valid_after_utc)
        builder = (
            _builder(_subject(name), key, issuer=self.certificate.subject, start=start, end=end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(encrypts_keys=isinstance(key, rsa.RSAPrivateKey)), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Issued(name, builder.sign(self._key, hashes.SHA256()), key)

    def _check_valid(self, at: datetime) -> None:
        subject = self.certificate.subject.rfc4514_string()
        if at > self.certificate.not_valid_after_utc:
            raise Expired(f"the CA {subject} expired at {self.certificate.not_valid_after_utc.isoformat()}")
        if at < self.certificate.not_valid_before_utc:
            raise NotYetValid(f"the CA {subject} is valid from {self.certificate.not_valid_before_utc.isoformat()}")

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """The issuer's own identifier, which need not be the hash we would compute when somebody else made the CA."""
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _builder(
    subject: x509.Name, key: PrivateKey, *, issuer: x509.Name, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _make_key(kind: KeyKind) -> PrivateKey:
    if kind is KeyKind.RSA_2048:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _key_usage(*, signs_certificates: bool = False, encrypts_keys: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_encipherment=encrypts_keys,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise Invalid(f"{name!r} cannot be a common name: expected 1 to {_LONGEST_NAME} printable characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        labels = name.removeprefix("*.").split(".")
        if len(name) <= 253 and all(_DNS_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit():
            return x509.DNSName(name)
    raise Invalid(
        f"{name!r} is neither a DNS name nor an IP address: expected for example vtn.example.org, *.example.org or"
        " 10.0.0.7 (no scheme, port or path; letters outside ASCII in their xn-- form)"
    )


def _end(start: datetime, lifetime: timedelta) -> datetime:
    if lifetime <= timedelta(0):
        raise Invalid(f"a lifetime of {lifetime} is over at once: expected more than zero")
    try:
        return start + lifetime
    except OverflowError as error:
        raise Invalid(f"a lifetime of {lifetime.days} days ends after the year 9999") from error
