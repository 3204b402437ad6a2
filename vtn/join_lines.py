"""Join lines of clients: what they say, and from where the VTN's address in them comes.

The command line and the console make the same ones.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from openadr_profiles.addresses import web_address
from openadr_profiles.join_line import LONGEST_CERTIFICATE, JoinLine
from openadr_profiles.v31 import Invalid
from vtn.http.addresses import Addresses
from vtn.settings import Settings

LONGEST_PEM: Final = 65_536
"""Characters of a text that ``certificate_in`` looks for a certificate in."""

_CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
_SECRET_CHARACTERS: Final = 43
"""Of a secret that the VTN makes: 32 bytes in base64."""
_LOCAL: Final = "The join line is for VENs on this machine only: its address is {}. Set public_url, or give {}."
_UNKNOWN: Final = "No join line, for the address of the VTN is not known: set public_url, or give {}."
_FOREIGN: Final = "No join line, for tokens come from auth.external.token_url, which does not know this secret."


class JoinLines:
    """Make the join lines of clients of one VTN. Without an address there are none; ``note`` says so.

    ``url`` and ``token_url`` are given in the place of what the settings say, ``ca`` is the certificate (DER) of a
    private authority, ``addresses`` knows the port of a server that runs, and ``url_is`` is what ``note`` calls an
    address that is given.

    Raises:
        Invalid: ``url`` or ``token_url`` is no address.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        url: str | None = None,
        token_url: str | None = None,
        ca: bytes | None = None,
        addresses: Addresses | None = None,
        url_is: str = "another address",
    ) -> None:
        self._token_url = None if token_url is None else _address("token_url", token_url)
        self._ca = ca
        given = None if url is None else _address("url", url)
        self.url, note = _url(settings, given, addresses)
        self.note = None if note is None else note.replace("{}", url_is)

    def line(self, client_id: str, secret: str, *, ven_name: str | None = None) -> str | None:
        """Return the line of a client, None if there is none; raises BadJoinLine if it would be too long."""
        told = self.told(client_id, secret, ven_name=ven_name)
        return None if told is None else told.encode()

    def told(self, client_id: str, secret: str, *, ven_name: str | None = None) -> JoinLine | None:
        """Return what the line of a client says; None if there is none."""
        if self.url is None:
            return None
        return JoinLine(
            url=self.url,
            client_id=client_id,
            client_secret=secret,
            ven_name=ven_name or client_id,
            token_url=self._token_url,
            ca=self._ca,
        )

    def must_be_possible(self, client_id: str, *, ven_name: str | None = None) -> None:
        """Make a line with a secret as long as one that is made; raises BadJoinLine before anything is changed."""
        self.line(client_id[:128], "-" * _SECRET_CHARACTERS, ven_name=ven_name)


def certificate_in(text: str) -> bytes:
    """Return the one certificate in a text (PEM) as DER; raises ValueError, whose message goes on after a name."""
    found = _CERTIFICATE.findall(text[:LONGEST_PEM])
    if len(found) != 1:
        raise ValueError(f"has {len(found)} certificates (PEM); expected the one of the authority")
    try:
        der = ssl.PEM_cert_to_DER_cert(found[0])
    except ValueError:
        raise ValueError("has no readable certificate (PEM)") from None
    if not 0 < len(der) <= LONGEST_CERTIFICATE:
        problem = f"has a certificate of {len(der):,} bytes; expected at most {LONGEST_CERTIFICATE:,}"
        raise ValueError(problem if der else "has no readable certificate (PEM)")
    return der


def _url(settings: Settings, given: str | None, addresses: Addresses | None) -> tuple[str | None, str | None]:
    """Return the address of the API, None if it is not known, and what is to be said about it."""
    if settings.auth.external is not None and not settings.auth.gives_tokens:
        return None, _FOREIGN
    if given is not None:
        return (given if urlsplit(given).path else given + settings.prefixes[0]), None
    has_port = settings.port != 0 or addresses is not None
    if settings.public_url is None and (not has_port or _is(settings.host, lambda each: each.is_unspecified)):
        return None, _UNKNOWN
    url = (addresses or Addresses(settings)).origin + settings.prefixes[0]
    host = urlsplit(url).hostname or ""
    is_local = host == "localhost" or _is(host, lambda each: each.is_loopback)
    return url, _LOCAL.replace("{}", host, 1) if is_local else None


def _address(member: str, text: str) -> str:
    try:
        return web_address(text)
    except ValueError as error:
        raise Invalid(member, str(error)) from None


def _is(host: str, what: Callable[[ipaddress.IPv4Address | ipaddress.IPv6Address], bool]) -> bool:
    try:
        return what(ipaddress.ip_address(host))
    except ValueError:
        return False
