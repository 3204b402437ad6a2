"""Join lines of clients: what they say, and from where the VTN's address in them comes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias
from urllib.parse import urlsplit

import typer

from oadr.errors import Exit, Failure
from openadr_client.join_line import JoinLine, certificate_in

if TYPE_CHECKING:
    from vtn.settings import Settings

VenNameOption: TypeAlias = Annotated[
    str | None, typer.Option("--ven-name", help="For the join line: name of the ven. Default: the client's id.")
]
UrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", help="Address at which the VEN reaches the VTN, for the join line. Default: public_url."),
]
TokenUrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--token-url", help="For the join line: where tokens are fetched, if the VTN does not say."),
]
CaFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--ca-file", help="For the join line: certificate (PEM) of your own authority, to trust for the VTN."),
]

_SECRET_CHARACTERS: Final = 43
"""Of a secret that the VTN makes: 32 bytes in base64."""
_LOCAL: Final = "The join line is for VENs on this machine only: its address is {}. Set public_url, or give --url."
_UNKNOWN: Final = "No join line, for the address of the VTN is not known: set public_url, or give --url."
_FOREIGN: Final = "No join line, for tokens come from auth.external.token_url, which does not know this secret."


class JoinLines:
    """Make the join lines of clients of one VTN. Without an address there are none; ``note`` says so.

    Raises:
        Failure: ``url`` or ``token_url`` is no address.
        BadJoinLine: ``ca_file`` is not one certificate.
    """

    def __init__(self, settings: Settings, *, url: str | None, token_url: str | None, ca_file: Path | None) -> None:
        self._token_url = None if token_url is None else _address("--token-url", token_url)
        self._ca = None if ca_file is None else certificate_in(ca_file)
        self._url, self.note = _url(settings, url)

    def line(self, client_id: str, secret: str, *, ven_name: str | None = None) -> str | None:
        """Return the line of a client, None if there is none; raises BadJoinLine if it would be too long."""
        if self._url is None:
            return None
        return JoinLine(
            url=self._url,
            client_id=client_id,
            client_secret=secret,
            ven_name=ven_name or client_id,
            token_url=self._token_url,
            ca=self._ca,
        ).encode()

    def must_be_possible(self, client_id: str, *, ven_name: str | None = None) -> None:
        """Make a line with a secret as long as one that is made; raises BadJoinLine before anything is changed."""
        self.line(client_id[:128], "-" * _SECRET_CHARACTERS, ven_name=ven_name)


def _url(settings: Settings, given: str | None) -> tuple[str | None, str | None]:
    """Return the address of the API, None if it is not known, and what is to be said about it."""
    if settings.auth.external is not None and not settings.auth.gives_tokens:
        return None, _FOREIGN
    if given is not None:
        url = _address("--url", given)
        return (url if urlsplit(url).path else url + settings.prefixes[0]), None
    if settings.public_url is None and (settings.port == 0 or _is(settings.host, lambda each: each.is_unspecified)):
        return None, _UNKNOWN
    from vtn.http.addresses import Addresses

    url = Addresses(settings).origin + settings.prefixes[0]
    host = urlsplit(url).hostname or ""
    is_local = host == "localhost" or _is(host, lambda each: each.is_loopback)
    return url, _LOCAL.format(host) if is_local else None


def _address(option: str, text: str) -> str:
    from openadr_client.settings import web_address

    try:
        return web_address(text)
    except ValueError as error:
        raise Failure(f"{option}: {error}", Exit.USAGE) from None


def _is(host: str, what: Callable[[ipaddress.IPv4Address | ipaddress.IPv6Address], bool]) -> bool:
    try:
        return what(ipaddress.ip_address(host))
    except ValueError:
        return False
