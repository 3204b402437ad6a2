"""All stores of a server, each made once over one database."""

from __future__ import annotations

from datetime import timedelta

from openadr_profiles.v301 import VERSION
from vtn.settings import Settings
from vtn.store.console.enrolment import EnrolmentStore
from vtn.store.console.repeats import RepeatStore
from vtn.store.contact import ContactStore
from vtn.store.database import Database
from vtn.store.event import EventStore
from vtn.store.facts.event_facts import EventFacts
from vtn.store.outbox.listing import OutboxListing
from vtn.store.outbox.notes import Notes
from vtn.store.performance.inputs import PerformanceInputs
from vtn.store.performance.results import PerformanceStore
from vtn.store.program import ProgramStore
from vtn.store.report import ReportStore
from vtn.store.resource import ResourceStore
from vtn.store.resource_group import ResourceGroupStore
from vtn.store.stamps import Stamps
from vtn.store.subscription import SubscriptionStore, Verify
from vtn.store.v20b.answers import AnswerStore20b
from vtn.store.v20b.asking_events import AskingEvents20b
from vtn.store.v20b.events import EventStore20b
from vtn.store.v20b.listing import VenListing20b
from vtn.store.v20b.nonces import NonceStore
from vtn.store.v20b.outbox import Outbox20b
from vtn.store.v20b.registrations import RegistrationStore20b
from vtn.store.v20b.reports import ReportStore20b
from vtn.store.v20b.vens import VenStore20b
from vtn.store.vault import Vault
from vtn.store.ven import VenStore
from vtn.store.visibility import Visibility
from vtn.v20b_settings import V20b


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
        names, tell_reads = settings.v301.name_targets, settings.subscriptions.read_notifications
        visibility = Visibility(database, settings.privacy, names=names)
        open_face = VERSION if settings.v301.privacy == "legacy" else None
        notes = Notes(database, stamps, settings.privacy, tell_reads=tell_reads, names=names, open_face=open_face)
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
        self.enrolment = EnrolmentStore(database, stamps, self.vens, notes)
        self.contacts = contacts
        self.repeats = RepeatStore(database, stamps)
        v20b = settings.v20b or V20b(enabled=False)
        self.vens_20b = VenStore20b(database, stamps, self.vens, poll_s=v20b.poll_s)
        self.outbox_20b = Outbox20b(database, stamps, retry_s=v20b.poll_s * v20b.retry_polls)
        self.events_20b = EventStore20b(database, stamps, visibility)
        self.asking_20b = AskingEvents20b(database, stamps, visibility)
        self.answers_20b = AnswerStore20b(database, stamps)
        self.registrations_20b = RegistrationStore20b(database, stamps, self.outbox_20b, self.answers_20b)
        # What processes have heard is stored from time to time only, so a VEN may have been heard of since.
        offline_after_s = v20b.poll_s * v20b.offline_after_polls + settings.contacts.store_s
        self.listing_20b = VenListing20b(database, stamps, offline_after=timedelta(seconds=offline_after_s))
        self.reports_20b = ReportStore20b(database, stamps, self.outbox_20b)
        self.nonces_20b = NonceStore(database, stamps, window_s=v20b.replay_window_s)
        self.outbox_listing = OutboxListing(database, stamps)
        self.facts = EventFacts(database, stamps, settings.privacy, names=names)
        self.performance = PerformanceStore(database, stamps)
        self.performance_inputs = PerformanceInputs(database, settings.privacy, names=names)
