"""Handshakes with a VTN, to see what it offers."""

from __future__ import annotations

import socket
import ssl
import warnings
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from yarl import URL

from oadr_conformance.v20b.subject import Subject20b

_PATIENCE_S = 10


@dataclass(frozen=True)
class Handshake:
    """Hold what came of a handshake."""

    version: str
    cipher: str
    key_kind: str
    """Kind of the key of the server's certificate: `EC`, `RSA` or another."""
    key_bits: int


def shake(subject: Subject20b, version: ssl.TLSVersion, ciphers: str = "") -> Handshake | str:
    """Return what came of a handshake with only this version and these cipher suites, or why there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only what is offered is looked at; the client of the run verifies
    try:
        if ciphers:
            context.set_ciphers(ciphers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # an old version is asked for to see it refused
            context.minimum_version = context.maximum_version = version
        if subject.ven is not None:
            context.load_cert_chain(*subject.ven.files)
    except (ssl.SSLError, ValueError) as error:
        return f"this machine has no {version.name}: {error}"
    url = URL(subject.base)
    try:
        with (
            socket.create_connection((url.host or "", url.port or 443), timeout=_PATIENCE_S) as raw,
            context.wrap_socket(raw, server_hostname=url.host) as connection,
        ):
            der, cipher = connection.getpeercert(binary_form=True), connection.cipher()
            told = connection.version()
    except OSError as error:  # ssl.SSLError is one
        return str(error)
    key = x509.load_der_x509_certificate(der or b"").public_key()
    kind, bits = type(key).__name__, 0
    if isinstance(key, ec.EllipticCurvePublicKey):
        kind, bits = "EC", key.key_size
    elif isinstance(key, rsa.RSAPublicKey):
        kind, bits = "RSA", key.key_size
    return Handshake(told or "", cipher[0] if cipher else "", kind, bits)
