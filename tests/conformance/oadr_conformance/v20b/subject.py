"""The VTN under test, and what it was told of the suite's VENs."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from yarl import URL

from oadr_conformance.address import ReceiverAddress, plain_url
from oadr_conformance.errors import Misused
from oadr_conformance.session import Credential

_BELOW = "OpenADR2/Simple/2.0b"


@dataclass(frozen=True)
class ClientCert:
    """A client certificate and its key, PEM."""

    certificate: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """Return what a VTN enrols: the last ten octets of SHA-256 over the certificate, `AA:BB:...`.

        Raises:
            Misused: the file holds no certificate.
        """
        try:
            text = self.certificate.read_text(encoding="ascii")
            begin = text.index("-----BEGIN CERTIFICATE-----")
            der = ssl.PEM_cert_to_DER_cert(text[begin:].partition("-----END CERTIFICATE-----")[0] + _END)
        except (OSError, ValueError) as error:
            raise Misused(f"{self.certificate} holds no certificate in PEM: {error}") from error
        return ":".join(f"{octet:02X}" for octet in hashlib.sha256(der).digest()[-10:])

    @property
    def files(self) -> tuple[Path, Path]:
        """Return certificate and key."""
        return self.certificate, self.key


_END = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True)
class Subject20b:
    """The VTN under test and the certificates that it knows."""

    url: str
    ven: ClientCert | None = None
    ven_id: str = ""
    """The identifier that the VTN gave this certificate before; else it is learnt by registering."""
    ven2: ClientCert | None = None
    ven2_id: str = ""
    stranger: ClientCert | None = None
    """A certificate of an authority that the VTN trusts, and that nobody enrolled."""
    expired: ClientCert | None = None
    vtn_id: str = ""
    fingerprint: str = ""
    ca_file: Path | None = None
    verify_tls: bool = True
    business_logic_url: str = ""
    bl: Credential | None = None
    receiver: ReceiverAddress | None = None
    """Where the VTN can push to the suite; without it a VTN on this machine is told a free port of it."""
    order: Callable[[str], Awaitable[None]] | None = None
    """Has an operator of the VTN ask the first VEN to `reregister` or `unregister`; raises Misused."""
    rulings: bool = False
    signed: bool = False
    """The VTN is configured to demand XML signatures of this VEN."""
    patience_s: float = 15.0
    """Time, in seconds, for an event to reach the VEN, and for an unanswered one to be offered again."""
    product: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        """
        Raises:
            Misused: options contradict each other, or one is not what it should be.
        """
        if self.ca_file and not self.verify_tls:
            raise Misused("an authority to trust and no verification at all contradict each other")
        if not 0 < self.patience_s <= 300:
            raise Misused(f"the patience with events is at most 300 s, and more than none: {self.patience_s:g}")
        if bool(self.business_logic_url) != (self.bl is not None):
            raise Misused("--business-logic-url, --client-id and --client-secret belong together")
        if self.fingerprint and self.ven is not None and self.fingerprint.upper() != self.ven.fingerprint:
            raise Misused(f"--cert has the fingerprint {self.ven.fingerprint}, not {self.fingerprint}")

    @property
    def base(self) -> str:
        """Return the URL that services are below, without a slash at its end.

        Raises:
            Misused: it is none.
        """
        url = plain_url(self.url, what="the URL of a VTN")
        return url if url.endswith(_BELOW) else f"{url}/{_BELOW}"

    @property
    def push_place(self) -> ReceiverAddress | None:
        """Return where the suite listens for pushes; None if the VTN cannot be told a place.

        Its port is 0 for a free one.
        """
        if self.receiver is not None or not _is_of_this_machine(URL(self.base).host or ""):
            return self.receiver
        if not self.tls:
            return ReceiverAddress("http://127.0.0.1", listen="127.0.0.1:0")
        if self.ven is None:
            return None
        return ReceiverAddress(
            "https://127.0.0.1", listen="127.0.0.1:0", certificate=self.ven.certificate, key=self.ven.key
        )

    @property
    def tls(self) -> bool:
        """Return True if the VTN is reached over TLS."""
        return URL(self.base).scheme == "https"


def _is_of_this_machine(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
