"""Tell what all pages have in common: the parts of the server that they read and change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from vtn.access import Caller, Role, Scope
from vtn.auth.clients import Clients
from vtn.auth.secrets import Secrets
from vtn.auth.wrong_secrets import WrongSecrets
from vtn.console.streams import ConsoleStreams
from vtn.contacts import ContactRecorder
from vtn.evaluations import Evaluations
from vtn.http.addresses import Addresses
from vtn.services import Services
from vtn.settings import Settings
from vtn.store.database import Database
from vtn.store.stamps import Stamps
from vtn.store.stores import Stores

if TYPE_CHECKING:
    from vtn.store.facts.event_facts import EventFacts

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)

PATH: Final = "/console"
CALLER: Final = Caller("console", Role.BL, frozenset(Scope))
"""Hold who the stores see when somebody acts on a page: business logic with every scope."""


class _MadeOf(Protocol[S_co]):
    def __call__(self, database: Database, stamps: Stamps, /) -> S_co: ...


@dataclass(frozen=True, slots=True)
class Console:
    """The parts of the server that pages use."""

    settings: Settings
    database: Database
    stores: Stores
    stamps: Stamps
    contacts: ContactRecorder
    clients: Clients
    secrets: Secrets
    addresses: Addresses
    services: Services
    guesses: WrongSecrets
    evaluations: Evaluations
    streams: ConsoleStreams
    now: Callable[[], datetime]
    _made: dict[Any, Any] = field(default_factory=dict)

    def store(self, kind: _MadeOf[S]) -> S:
        """Return the store of a page (``vtn/store/console``), made once of the database and the stamps."""
        return self.kept(kind, lambda: kind(self.database, self.stamps))

    def kept(self, key: object, make: Callable[[], S]) -> S:
        """Return what was made under a key, after making it at the first time."""
        if key not in self._made:
            self._made[key] = make()
        return cast(S, self._made[key])

    @property
    def facts(self) -> EventFacts:
        """Return who answers questions about events and the fleet from what was reported."""
        from vtn.store.facts.event_facts import EventFacts  # noqa: PLC0415 (a server without visitors asks none)

        settings = self.settings
        return self.kept(
            EventFacts,
            lambda: EventFacts(self.database, self.stamps, settings.privacy, names=settings.v301.name_targets),
        )

    @property
    def base(self) -> str:
        """Return the path of the console as browsers see it: below the path of ``public_url``, if that has one."""
        return urlsplit(self.settings.public_url or "").path.rstrip("/") + PATH

    @property
    def is_encrypted(self) -> bool:
        """Return True if browsers reach the console over TLS."""
        return self.settings.tls is not None or (self.settings.public_url or "").startswith("https:")

    @property
    def zone(self) -> tzinfo:
        """Return the time zone of times on pages."""
        return ZoneInfo(self.settings.console.zone)
