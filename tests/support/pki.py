"""Certificates for the servers and clients of a test, from an authority made for the run."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from certs import Authority, Pair


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of one party: the authority it trusts, its own certificate and its key."""

    ca: Path
    certificate: Path
    key: Path


class Pki:
    """One authority; every call issues a new certificate and writes it into a folder of its own."""

    def __init__(self, directory: Path, *, now: Callable[[], datetime], name: str = "test CA") -> None:
        self.directory = directory
        self.authority = Authority.create(name, now=now)
        self.ca = self.authority.save(directory).certificate
        self._numbers = count(1)

    def server(self, name: str = "localhost", *alternative_names: str) -> TlsFiles:
        """For a server under these names; without any it is `localhost`, 127.0.0.1 and ::1."""
        alternatives = alternative_names or (("127.0.0.1", "::1") if name == "localhost" else ())
        return self._files(self.authority.issue_server(name, alternative_names=alternatives).save(self._folder()))

    def client(self, client_id: str) -> TlsFiles:
        """For a client with this id."""
        return self._files(self.authority.issue_client(client_id).save(self._folder()))

    def _folder(self) -> Path:
        return self.directory / str(next(self._numbers))

    def _files(self, pair: Pair) -> TlsFiles:
        return TlsFiles(self.ca, pair.certificate, pair.key)


def server_context(files: TlsFiles, *, client_certificate_required: bool = False) -> ssl.SSLContext:
    """Return the TLS context of a server that serves with these files, TLS 1.2 or newer."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    context.verify_mode = ssl.CERT_REQUIRED if client_certificate_required else ssl.CERT_NONE
    return _strict(context)


def client_context(ca: Path, files: TlsFiles | None = None) -> ssl.SSLContext:
    """Return the TLS context of a client that trusts `ca` and, with `files`, presents its own certificate."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files is not None:
        context.load_cert_chain(files.certificate, files.key)
    return _strict(context)


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    """Verify as Python 3.13 and newer do by default."""
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
