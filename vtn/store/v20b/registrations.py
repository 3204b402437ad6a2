"""Registrations of VENs of OpenADR 2.0b: each begins and ends in one transaction with all that hangs on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import delete, select, update

from vtn.errors import NotFound
from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.ids import new_id
from vtn.store.stamps import Stamps
from vtn.store.v20b.answers import AnswerStore20b
from vtn.store.v20b.outbox import Outbox20b
from vtn.store.v20b.tables import oadr20b_capabilities, oadr20b_outbox, oadr20b_report_requests, oadr20b_vens
from vtn.store.v20b.vens import Ven20b

REREGISTER: Final = "oadrRequestReregistration"
CANCEL: Final = "oadrCancelPartyRegistration"
OWN_REPORTS: Final = "oadrRegisterReport"


@dataclass(frozen=True, slots=True)
class Registration20b:
    """Hold what a VEN registers with."""

    ven_name: str | None
    push_url: str | None
    report_only: bool
    signs: bool
    digest: str
    """Of the message, to know a repetition of it."""


class RegistrationStore20b:
    """Begins and ends registrations. A process that is killed leaves either all of it behind or nothing."""

    def __init__(self, database: Database, stamps: Stamps, outbox: Outbox20b, answers: AnswerStore20b) -> None:
        self._database = database
        self._stamps = stamps
        self._outbox = outbox
        self._answers = answers

    async def register(
        self, ven: Ven20b, given: Registration20b, *, renewed: bool, repeated_after: str
    ) -> tuple[Ven20b, bool]:
        """Register a VEN; return it as it is now, and whether it is a new registration.

        ``renewed``: it named its registration, which it keeps (B-REG-007). Else it gets a new one, what waited for it
        under the old one is dropped (B-REG-009), and it is to get our list of reports (B-REG-014), unless it repeats a
        message that registered it after the stamp ``repeated_after``: then nothing changes (B-GEN-011).
        Raises NotFound.
        """
        async with self._database.write() as connection:
            locked = select(oadr20b_vens).where(oadr20b_vens.c.ven_id == ven.id).with_for_update(of=oadr20b_vens)
            row = (await connection.execute(locked)).mappings().first()
            if row is None:
                raise NotFound
            await self._outbox.acknowledged_in(connection, ven.id, REREGISTER)
            is_repeated = row["registered_by"] == given.digest and (row["registered_at"] or "") >= repeated_after
            if is_repeated and row["registration_id"]:
                return replace(ven, registration_id=row["registration_id"], push_url=row["push_url"]), False
            is_new = not (renewed and row["registration_id"])
            registration_id = new_id() if is_new else str(row["registration_id"])
            if is_new:
                await self._forget_old(connection, ven.id)
                await self._outbox.put_in(connection, ven.id, OWN_REPORTS)
            changed = update(oadr20b_vens).where(oadr20b_vens.c.ven_id == ven.id)
            await connection.execute(
                changed.values(
                    registration_id=registration_id,
                    registered_by=given.digest,
                    registered_at=self._stamps.now,
                    ven_name=given.ven_name,
                    push_url=given.push_url,
                    is_report_only=given.report_only,
                    signs=given.signs,
                    cancel_refused_at=None,
                )
            )
        registered = replace(
            ven,
            registration_id=registration_id,
            push_url=given.push_url,
            report_only=given.report_only,
            signs=given.signs,
        )
        return registered, is_new

    async def end(self, id_: str, *, digest: str) -> None:
        """End a registration, with all that waited for the VEN (B-REG-012); ``digest`` is that of its message."""
        async with self._database.write() as connection:
            await self._end(connection, id_, digest)

    async def was_ended_by(self, id_: str, digest: str, *, after: str) -> bool:
        """Return True if the message with this digest ended the registration after a stamp (B-GEN-011)."""
        its = select(oadr20b_vens.c.registered_by, oadr20b_vens.c.registered_at).where(
            oadr20b_vens.c.ven_id == id_, oadr20b_vens.c.registration_id.is_(None)
        )
        row = await self._database.row(its)
        return row is not None and row["registered_by"] == digest and (row["registered_at"] or "") >= after

    async def cancel_answered(self, id_: str, *, agrees: bool, digest: str) -> bool:
        """Take a VEN's answer to a cancellation by this VTN; return False if none waited for it (B-REG-013).

        If it agrees its registration ends; else it stays, and that it refused is noted.
        """
        async with self._database.write() as connection:
            if not await self._outbox.acknowledged_in(connection, id_, CANCEL):
                return False
            if agrees:
                await self._end(connection, id_, digest)
            else:
                changed = update(oadr20b_vens).where(oadr20b_vens.c.ven_id == id_)
                await connection.execute(changed.values(cancel_refused_at=self._stamps.now))
        return True

    async def _end(self, connection: AsyncConnection, id_: str, digest: str) -> None:
        await self._forget_old(connection, id_)
        await connection.execute(
            update(oadr20b_vens)
            .where(oadr20b_vens.c.ven_id == id_)
            .values(
                registration_id=None,
                registered_by=digest or None,
                registered_at=self._stamps.now,
                push_url=None,
                cancel_refused_at=None,
            )
        )

    async def _forget_old(self, connection: AsyncConnection, id_: str) -> None:
        """Drop what was agreed under a registration: messages, report requests, what the VEN can report, its opts."""
        for table in (oadr20b_outbox, oadr20b_report_requests, oadr20b_capabilities):
            await connection.execute(delete(table).where(table.c.ven_id == id_))
        await self._answers.end_all_in(connection, id_)
