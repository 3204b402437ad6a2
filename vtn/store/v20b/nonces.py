"""Nonces of signed messages, so that none is taken twice, whichever process it comes to (B-SEC-010)."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, insert

from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated
from vtn.store.stamps import Stamps
from vtn.store.v20b.tables import oadr20b_nonces


class NonceStore:
    """Nonces that are remembered until the time of their signature alone has them refused.

    They are those of VENs that are enrolled, each with a limit on its requests, which bounds their number.
    """

    def __init__(self, database: Database, stamps: Stamps, *, window_s: float) -> None:
        self._database = database
        self._stamps = stamps
        self._kept = timedelta(seconds=2 * window_s)

    async def is_new(self, nonce: str) -> bool:
        """Remember a nonce; return False if it was used before."""
        row = {"nonce": nonce, "expires_at": self._stamps.ago(-self._kept)}
        try:
            async with self._database.write() as connection:
                old = oadr20b_nonces.c.expires_at < self._stamps.now
                await connection.execute(delete(oadr20b_nonces).where(old))
                await connection.execute(insert(oadr20b_nonces).values(row))
        except ConstraintViolated:
            return False
        return True
