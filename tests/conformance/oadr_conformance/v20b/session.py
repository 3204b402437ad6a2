"""State of a whole run: the VTN's address, the suite's VENs with their clients, and the names the run gives."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from oadr_conformance.errors import Misused
from oadr_conformance.session import PREFIX
from oadr_conformance.v20b import signing
from oadr_conformance.v20b.subject import ClientCert, Subject20b
from oadr_conformance.v20b.tree import Element, payload
from oadr_conformance.wire import HttpClient

if TYPE_CHECKING:
    from oadr_conformance.v20b.push_listener import PushListener


@dataclass
class VenAtVtn:
    """Hold what the suite knows of one of its VENs at the VTN."""

    name: str
    ven_id: str = ""
    id: str = ""
    """registrationID; empty while it is not registered."""
    usual: bool = True
    """False after a check registered it in another way than usual."""
    requests: dict[str, Element] = field(default_factory=dict)
    """reportRequestID -> oadrReportRequest, as far as they are open."""


class StrangerSession:
    """One run against one VTN."""

    def __init__(self, subject: Subject20b, desk: HttpClient, clients: dict[str, HttpClient]) -> None:
        self.subject = subject
        self.base = subject.base
        self.api = subject.business_logic_url.rstrip("/")
        self.desk = desk
        """The client of business logic."""
        self.clients = clients
        self.registrations = {name: VenAtVtn(name) for name in clients}
        self.registrations["VEN 1"].ven_id = subject.ven_id
        if "VEN 2" in self.registrations:
            self.registrations["VEN 2"].ven_id = subject.ven2_id
        self.listener: PushListener | None = None
        """Where the VTN can push to the first VEN."""
        self.no_listener = ""
        """Why there is none, if that is known."""
        self.token = ("", 0.0)
        self.secrets: list[str] = list(subject.bl.secrets) if subject.bl else []
        self.warnings: list[str] = []
        self.vtn_ids: set[str] = set()
        """Every vtnID that the VTN gave itself."""
        self._tag = PREFIX + secrets.token_hex(3)
        self._numbers = count(1)

    def name(self, kind: str) -> str:
        """Return a name nobody else uses."""
        return f"{self._tag}-{kind}-{next(self._numbers)}"

    def document(self, root: Element, *, signed: bool = True) -> bytes:
        """Return a message as this VTN wants it: signed, where it demands that."""
        return self.signed(root) if signed and self.subject.signed else payload(root)

    def signed(self, root: Element, *, offset_s: int = 0, identity: ClientCert | None = None) -> bytes:
        """Return a message with a signature of a time that is off by `offset_s` seconds.

        Raises:
            Misused: there is no key to sign with.
        """
        identity = identity or self.subject.ven
        if identity is None:
            raise Misused("--signed needs --cert and --key")
        return signing.signed(root, identity, offset_s=offset_s)
