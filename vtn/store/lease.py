"""Leases: of several processes that could do a piece of work, one does it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, insert, or_, select, update

from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated
from vtn.store.stamps import Stamps
from vtn.store.tables import leases


class Lease:
    """The lease of one piece of work, ``name``, as the process ``by`` sees it. It ends unless it is prolonged."""

    def __init__(self, database: Database, stamps: Stamps, *, name: str, by: str, lease_s: float) -> None:
        self._database = database
        self._stamps = stamps
        self._name = name
        self._by = by
        self._length = timedelta(seconds=lease_s)

    async def take(self) -> bool:
        """Take or prolong the lease; False while another process holds it. Raises Unavailable."""
        values = {"held_by": self._by, "held_until": self._stamps.ago(-self._length)}
        free = or_(leases.c.held_by == self._by, leases.c.held_until < self._stamps.now)
        taken = update(leases).where(leases.c.name == self._name, free).values(values)
        there = select(leases.c.name).where(leases.c.name == self._name)
        try:
            async with self._database.write() as connection:
                if (await connection.execute(taken)).rowcount:
                    return True
                if (await connection.execute(there)).first() is not None:
                    return False
                await connection.execute(insert(leases).values(name=self._name, **values))
        except ConstraintViolated:  # by another process, at the same time
            return False
        return True

    async def release(self) -> None:
        """Give the lease back, so that another process may go on at once. Raises Unavailable."""
        held = delete(leases).where(leases.c.name == self._name, leases.c.held_by == self._by)
        async with self._database.write() as connection:
            await connection.execute(held)
