"""The stores of OpenADR 2.0b, each made once over one database."""

from __future__ import annotations

from datetime import timedelta

from vtn.settings import Settings
from vtn.store.database import Database
from vtn.store.stamps import Stamps
from vtn.store.v20b.answers import AnswerStore20b
from vtn.store.v20b.asking_events import AskingEvents20b
from vtn.store.v20b.events import EventStore20b
from vtn.store.v20b.listing import VenListing20b
from vtn.store.v20b.nonces import NonceStore
from vtn.store.v20b.outbox import Outbox20b
from vtn.store.v20b.registrations import RegistrationStore20b
from vtn.store.v20b.reports import ReportStore20b
from vtn.store.v20b.vens import VenStore20b
from vtn.store.ven import VenStore
from vtn.store.visibility import Visibility
from vtn.v20b_settings import V20b


class Stores20b:
    """The stores of VENs of OpenADR 2.0b: who they are, what waits for them, and what they said."""

    def __init__(
        self, settings: Settings, database: Database, stamps: Stamps, vens: VenStore, visibility: Visibility
    ) -> None:
        v20b = settings.v20b or V20b(enabled=False)
        self.vens = VenStore20b(database, stamps, vens, poll_s=v20b.poll_s)
        self.outbox = Outbox20b(database, stamps, retry_s=v20b.poll_s * v20b.retry_polls)
        self.events = EventStore20b(database, stamps, visibility)
        self.asking = AskingEvents20b(database, stamps, visibility)
        self.answers = AnswerStore20b(database, stamps)
        self.registrations = RegistrationStore20b(database, stamps, self.outbox, self.answers)
        # What processes have heard is stored from time to time only, so a VEN may have been heard of since.
        offline_after_s = v20b.poll_s * v20b.offline_after_polls + settings.contacts.store_s
        self.listing = VenListing20b(database, stamps, offline_after=timedelta(seconds=offline_after_s))
        self.reports = ReportStore20b(database, stamps, self.outbox)
        self.nonces = NonceStore(database, stamps, window_s=v20b.replay_window_s)
