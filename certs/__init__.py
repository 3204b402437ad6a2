"""A small certificate authority for tests, demonstrations and private networks.

It makes an authority, issues server and client certificates from it, and tells what a certificate says. It holds no
secret of its own: keys exist only where the caller writes them.
"""

from certs.authority import Authority, Issued, KeyKind
from certs.description import Description, describe, openadr_fingerprint, sha256_fingerprint
from certs.errors import (
    AlreadyExists,
    CertificateError,
    Expired,
    Invalid,
    KeyMismatch,
    NotACertificate,
    NotAKey,
    NotAnAuthority,
    NotYetValid,
    Unreadable,
    Unwritable,
)
from certs.files import Pair, read_certificates

__all__ = [
    "AlreadyExists",
    "Authority",
    "CertificateError",
    "Description",
    "Expired",
    "Invalid",
    "Issued",
    "KeyKind",
    "KeyMismatch",
    "NotACertificate",
    "NotAKey",
    "NotAnAuthority",
    "NotYetValid",
    "Pair",
    "Unreadable",
    "Unwritable",
    "describe",
    "openadr_fingerprint",
    "read_certificates",
    "sha256_fingerprint",
]
