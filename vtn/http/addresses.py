"""The addresses at which clients reach this server, as it tells them."""

from __future__ import annotations

import socket

from aiohttp import web

from vtn.http.tls import ServerTls
from vtn.settings import Settings


class Addresses:
    """Give the public address if there is one, else the one that is listened on.

    ``port``, and ``port_20b`` of OpenADR 2.0b, are set once they are known.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls: ServerTls | None = None
        self.port = settings.port
        self.port_20b = None if settings.v20b is None else settings.v20b.port

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        settings = self._settings
        if settings.public_url is not None:
            return settings.public_url
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"{'https' if settings.tls else 'http'}://{host}:{self.port}"

    def use(self, tls: ServerTls) -> None:
        """Take the names in a certificate for names of this server."""
        self._tls = tls

    def token_url(self, request: web.Request) -> str:
        """Return the URL of the token endpoint, at the public address or else the one the client used."""
        external = self._settings.auth.external
        if external is not None and not self._settings.auth.gives_tokens:
            return external.token_url
        return self.reached_by(request) + request.path.removesuffix("/server") + "/token"

    def reached_by(self, request: web.Request) -> str:
        """Return scheme, host and port of the public address, or else of the one that the client used."""
        return self._settings.public_url or self._origin_of(request)

    def _origin_of(self, request: web.Request) -> str:
        """Return the address the client used, if it is one of this server's: a foreign Host is never sent back.

        Else the address the connection came to.
        """
        address, port = request.get_extra_info("sockname", (self._settings.host, self.port))[:2]
        try:
            url = request.url.origin()
        except ValueError:  # a Host that cannot be read
            url = None
        named = None if url is None else url.host
        if url is not None and named is not None and self._is_ours(named, address):
            return str(url)
        host = f"[{address}]" if ":" in address else address
        return f"{request.scheme}://{host}:{port}"

    def _is_ours(self, name: str, address: str) -> bool:
        if name in {address, self._settings.host, "localhost", socket.gethostname()}:
            return True
        return self._tls is not None and self._tls.is_for(name)
