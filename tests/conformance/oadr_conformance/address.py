"""Tell where the suite is found by the product that it examines, and where it listens for that."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from yarl import URL

from oadr_conformance.errors import Misused


@dataclass(frozen=True)
class ReceiverAddress:
    """Say where the VTN can call the suite, and where the suite listens for that.

    It listens on the port of the URL, unless ``listen`` (`HOST:PORT`) says otherwise: behind an address translation, or
    a proxy that ends TLS. For an https URL it needs a certificate and its key (PEM), or such a proxy.
    """

    url: str
    listen: str = ""
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """
        Raises:
            Misused: it is no address, or the files for TLS are missing, or are not needed.
        """
        url = URL(self.url)
        if url.scheme not in {"http", "https"} or not url.host or url.path.strip("/") or url.query_string:
            raise Misused(f"the receiver is http:// or https://, a host and a port, without a path: {self.url!r}")
        if self.listen and not self.listen.rpartition(":")[2].isdecimal():
            raise Misused(f"the receiver listens at HOST:PORT, not {self.listen!r}")
        if bool(self.certificate) != bool(self.key):
            raise Misused("the receiver's certificate and its key come together")
        if url.scheme == "https" and not self.certificate and not self.listen:
            raise Misused("a receiver for https needs a certificate and its key, or a proxy in front that ends TLS")
        if url.scheme == "http" and self.certificate:
            raise Misused("a receiver for http needs no certificate")

    @property
    def place(self) -> tuple[str | None, int]:
        """Return host and port to listen at; no host means every address of this machine."""
        if self.listen:
            host, _, port = self.listen.rpartition(":")
            return host.strip("[]") or None, int(port)
        url = URL(self.url)
        try:
            ip_address(url.host or "")
        except ValueError:
            return None, url.port or 443
        return url.host, url.port or 443

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context to listen with; None for plain HTTP.

        Raises:
            Misused: the files hold no certificate with its key.
        """
        if self.certificate is None or self.key is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            raise Misused(f"{self.certificate} and {self.key} are no certificate with its key: {error}") from error
        return context


def plain_url(text: str, *, what: str) -> str:
    """Return an http or https URL without a slash at its end; ``what`` it is stands in the error.

    Raises:
        Misused: it is none, or has a query, fragment or user name.
    """
    url = text.rstrip("/")
    try:
        parsed = URL(url)
    except ValueError as error:
        raise Misused(f"not an http or https URL: {text!r}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise Misused(f"not an http or https URL: {text!r}")
    if parsed.query_string or parsed.fragment or parsed.user:
        raise Misused(f"{what} has no query, fragment or user name: {text!r}")
    return url
