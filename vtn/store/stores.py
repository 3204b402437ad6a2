"""All stores of a server, each made once over one database; those that few servers need are loaded when asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from openadr_profiles.v301 import VERSION
from vtn.settings import Settings
from vtn.store.contact import ContactStore
from vtn.store.database import Database
from vtn.store.event import EventStore
from vtn.store.outbox.notes import Notes
from vtn.store.program import ProgramStore
from vtn.store.report import ReportStore
from vtn.store.resource import ResourceStore
from vtn.store.resource_group import ResourceGroupStore
from vtn.store.stamps import Stamps
from vtn.store.subscription import SubscriptionStore, Verify
from vtn.store.vault import Vault
from vtn.store.ven import VenStore
from vtn.store.visibility import Visibility

if TYPE_CHECKING:
    from vtn.store.console.enrolment import EnrolmentStore
    from vtn.store.console.repeats import RepeatStore
    from vtn.store.facts.event_facts import EventFacts
    from vtn.store.outbox.listing import OutboxListing
    from vtn.store.performance.inputs import PerformanceInputs
    from vtn.store.performance.results import PerformanceStore
    from vtn.store.v20b.stores import Stores20b


class Stores:
    """The stores of objects, which share what is known of each client's targets.

    They are made once the database shares its revisions with other processes, or nothing of theirs can be cached.
    ``verify`` asks callbacks whether they want to be called.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        stamps: Stamps,
        contacts: ContactStore,
        vault: Vault,
        verify: Verify,
    ) -> None:
        self._settings, self._database, self._stamps = settings, database, stamps
        names, tell_reads = settings.v301.name_targets, settings.subscriptions.read_notifications
        self._visibility = visibility = Visibility(database, settings.privacy, names=names)
        open_face = VERSION if settings.v301.privacy == "legacy" else None
        self._notes = notes = Notes(
            database, stamps, settings.privacy, tell_reads=tell_reads, names=names, open_face=open_face
        )
        self.reads = notes.reads
        self.programs = ProgramStore(database, stamps, notes, visibility)
        self.events = EventStore(database, stamps, notes, visibility)
        self.reports = ReportStore(database, stamps, notes, visibility)
        self.vens = VenStore(database, stamps, notes)
        self.resources = ResourceStore(database, stamps, notes)
        self.resource_groups = ResourceGroupStore(database, stamps, notes, settings.resource_groups)
        self.subscriptions = SubscriptionStore(
            database,
            stamps,
            notes,
            visibility,
            vault,
            verify=verify,
            max_per_client=settings.subscriptions.max_per_client,
        )
        self.contacts = contacts

    @cached_property
    def v20b(self) -> Stores20b:
        """Return the stores of OpenADR 2.0b."""
        from vtn.store.v20b.stores import Stores20b  # noqa: PLC0415 (few servers speak it)

        return Stores20b(self._settings, self._database, self._stamps, self.vens, self._visibility)

    @cached_property
    def outbox_listing(self) -> OutboxListing:
        """Return the list of what waits to be delivered, and of how endpoints fare."""
        from vtn.store.outbox.listing import OutboxListing  # noqa: PLC0415 (for operators)

        return OutboxListing(self._database, self._stamps)

    @cached_property
    def enrolment(self) -> EnrolmentStore:
        """Return the store that changes many vens and grants at once."""
        from vtn.store.console.enrolment import EnrolmentStore  # noqa: PLC0415 (for pages of the console)

        return EnrolmentStore(self._database, self._stamps, self.vens, self._notes)

    @cached_property
    def repeats(self) -> RepeatStore:
        """Return the store of templates of which an event is issued again and again."""
        from vtn.store.console.repeats import RepeatStore  # noqa: PLC0415 (for pages of the console)

        return RepeatStore(self._database, self._stamps)

    @cached_property
    def facts(self) -> EventFacts:
        """Return who answers questions about events from what was reported."""
        from vtn.store.facts.event_facts import EventFacts  # noqa: PLC0415 (for pages of the console)

        settings = self._settings
        return EventFacts(self._database, self._stamps, settings.privacy, names=settings.v301.name_targets)

    @cached_property
    def performance(self) -> PerformanceStore:
        """Return the store of the results of events."""
        from vtn.store.performance.results import PerformanceStore  # noqa: PLC0415 (few events are evaluated)

        return PerformanceStore(self._database, self._stamps)

    @cached_property
    def performance_inputs(self) -> PerformanceInputs:
        """Return the reader of what events are evaluated from."""
        from vtn.store.performance.inputs import PerformanceInputs  # noqa: PLC0415 (few events are evaluated)

        settings = self._settings
        return PerformanceInputs(self._database, settings.privacy, names=settings.v301.name_targets)
