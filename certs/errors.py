"""Errors of certificates. Every message names the file or value and what was expected.

CertificateError
├── Invalid           a name, alternative name or lifetime that no certificate can carry
├── Unreadable        a file that is missing or may not be read
├── Unwritable        a file or folder that cannot be written
├── AlreadyExists     a file that would be overwritten
├── NotACertificate   a file that holds no certificate
├── NotAKey           a file that holds no usable private key
├── NotAnAuthority    a certificate that may not sign others
├── KeyMismatch       a private key that belongs to another certificate
├── Expired           an authority whose time is over
└── NotYetValid       an authority whose time has not come
"""


class CertificateError(Exception):
    """Anything this package refuses; the text is for people."""


class Invalid(CertificateError):
    """A name, alternative name or lifetime that no certificate can carry."""


class Unreadable(CertificateError):
    """A file that is missing or may not be read."""


class Unwritable(CertificateError):
    """A file or folder that cannot be written."""


class AlreadyExists(CertificateError):
    """A file that would be overwritten."""


class NotACertificate(CertificateError):
    """A file that holds no certificate."""


class NotAKey(CertificateError):
    """A file that holds no usable private key."""


class NotAnAuthority(CertificateError):
    """A certificate that may not sign others."""


class KeyMismatch(CertificateError):
    """A private key that belongs to another certificate."""


class Expired(CertificateError):
    """An authority whose time is over."""


class NotYetValid(CertificateError):
    """An authority whose time has not come."""
