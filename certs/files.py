"""Certificates and keys as PEM files. A key is never readable by others and nothing is overwritten by accident."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certs.errors import AlreadyExists, NotACertificate, NotAKey, Unreadable, Unwritable

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """The paths of a certificate and its private key."""

    certificate: Path
    key: Path


def pair_in(directory: Path, stem: str) -> Pair:
    """Return the file names for a certificate and key: `stem.pem` and `stem.key`."""
    return Pair(directory / f"{stem}.pem", directory / f"{stem}.key")


def write_pair(pair: Pair, *, certificate: bytes, key: bytes, force: bool) -> None:
    """Write both files, the key with mode 0600; missing folders are made.

    Each file appears complete or not at all.

    Raises:
        AlreadyExists: one of them is there and `force` is not set; neither is touched.
        Unwritable: the system refuses.
    """
    if not force:
        for path in (pair.key, pair.certificate):
            if path.exists():
                raise AlreadyExists(f"{path} exists already; --force replaces it")
    _write(pair.key, key, mode=0o600)
    _write(pair.certificate, certificate, mode=0o644)


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Return every certificate in a PEM file, in its order, or the one in a DER file.

    Raises:
        Unreadable, NotACertificate
    """
    content = _read(path)
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except ValueError as error:
        found = "a private key" if b"PRIVATE KEY-----" in content else "something else"
        raise NotACertificate(f"{path} holds {found}, expected a certificate in PEM or DER form") from error


def read_key(path: Path) -> PrivateKey:
    """Return the private key in a PEM file.

    Raises:
        Unreadable, NotAKey
    """
    content = _read(path)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise NotAKey(f"{path} is protected by a passphrase, expected a key without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotAKey(f"{path} holds no private key in PEM form") from error
    if not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey):
        raise NotAKey(f"{path} holds a {type(key).__name__}, expected an EC or RSA key")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from error


def _write(path: Path, content: bytes, *, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        written = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            written.chmod(mode)
            written.replace(path)
        finally:
            written.unlink(missing_ok=True)
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {error.strerror}") from error
