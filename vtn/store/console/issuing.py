"""Issue the events of a form: all or none, and once however often the form is sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from sqlalchemy import delete, insert, select

from openadr_profiles.v31 import EventRequest
from vtn.access import Caller
from vtn.store.console.plan_tables import event_plans, issued_forms
from vtn.store.database import Database
from vtn.store.event import EventStore
from vtn.store.failures import ConstraintViolated
from vtn.store.stamps import Stamps

_KEPT: Final = timedelta(days=7)


class IssuedForms:
    """Forms whose events were issued, by the number that each form carries."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def of(self, token: str) -> tuple[str, ...] | None:
        """Return the ids of the events of a form; None if it was never issued."""
        row = await self._database.row(select(issued_forms.c.event_ids).where(issued_forms.c.token == token))
        return None if row is None else msgspec.json.decode(row["event_ids"], type=tuple[str, ...])

    async def issue(
        self,
        events: EventStore,
        token: str,
        requests: Sequence[EventRequest],
        *,
        by: Caller,
        user: str,
        draft_id: str | None = None,
    ) -> tuple[tuple[str, ...], bool]:
        """Store the events of a form and remove its draft; return their ids, and False if that was done before.

        Of two that send one form at the same time one issues it, and the other is told what it issued. Raises Invalid
        if the program does not exist any more; then nothing is issued.
        """
        before = await self.of(token)
        if before is not None:
            return before, False
        try:
            async with self._database.write() as connection:
                row = {"token": token, "event_ids": "[]", "made_by": user, "made_at": self._stamps.now}
                await connection.execute(insert(issued_forms).values(row))
                ids = tuple([await events.create_in(connection, request, by=by) for request in requests])
                listed = msgspec.json.encode(ids).decode()
                await connection.execute(
                    issued_forms.update().where(issued_forms.c.token == token).values(event_ids=listed)
                )
                old = issued_forms.c.made_at < self._stamps.ago(_KEPT)
                await connection.execute(delete(issued_forms).where(old))
                if draft_id is not None:
                    await connection.execute(
                        delete(event_plans).where(event_plans.c.id == draft_id, event_plans.c.kind == "DRAFT")
                    )
        except ConstraintViolated as error:
            before = await self.of(token)
            if before is None:
                raise events.refusal(error) from error
            return before, False
        return ids, True
