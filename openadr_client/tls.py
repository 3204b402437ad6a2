"""The TLS contexts of clients: of the VTN, of its token server and of the MQTT broker (TLS-002, TLS-005)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openadr_client.errors import BadCertificateFile


def vtn_context(
    *, ca_file: Path | None = None, certificate: Path | None = None, key: Path | None = None, verify: bool = True
) -> ssl.SSLContext:
    """Make a context for a VTN: TLS 1.2 or newer; trusts the system's authorities and those of ``ca_file``.

    ``certificate`` and ``key`` are shown to the server; the key may be in the file of the certificate.
    ``verify=False`` accepts any server.

    Raises:
        BadCertificateFile: a file is missing or is not what it should be; the message names it.
    """
    context = ssl.create_default_context()
    _load(context, ca_file=ca_file, certificate=certificate, key=key)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def broker_context(
    *,
    ca_file: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    server_name: str | None = None,
    alpn: Sequence[str] = (),
) -> NamedContext:
    """Make a context for a broker: TLS 1.2 or newer; trusts the authorities of ``ca_file``, or else the system's.

    ``server_name`` is asked for and verified instead of the host that is connected to; ``alpn`` are the protocols that
    are offered in the handshake.

    Raises:
        BadCertificateFile: a file is missing or is not what it should be; the message names it.
    """
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if ca_file is None:
        context.load_default_certs()
    _load(context, ca_file=ca_file, certificate=certificate, key=key, whose="the broker's ")
    return context


class NamedContext(ssl.SSLContext):
    """A client context that asks for a given name instead of the host it connects to (SNI)."""

    server_name: str | None = None
    _last: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Wrap a socket as the parent does, with the name of this context."""
        if self.server_name is not None:
            options["server_hostname"] = self.server_name
        self._last = super().wrap_socket(*args, **options)
        return self._last

    def close_last(self) -> None:
        """Close the socket whose handshake failed; paho forgets it."""
        if self._last is not None:
            self._last.close()


def _load(
    context: ssl.SSLContext, *, ca_file: Path | None, certificate: Path | None, key: Path | None, whose: str = ""
) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadCertificateFile(
                f"{whose}ca_file {ca_file} is not a readable file of CA certificates (PEM): {error}"
            ) from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=lambda: "")  # or OpenSSL asks for one on the terminal
        except (OSError, ssl.SSLError) as error:
            pair = f"client_certificate {certificate}" + (f" and client_key {key}" if key else "")
            raise BadCertificateFile(f"{whose}{pair}: not a certificate with its private key (PEM): {error}") from error
