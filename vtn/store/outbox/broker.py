"""The endpoint of the MQTT broker: while it is there, every change is recorded for the broker."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, func, insert, select

from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated
from vtn.store.outbox.rows import Push
from vtn.store.tables import deliveries, endpoints

BROKER: Final = "mqtt"
"""The id of the endpoint; there is one at most."""
_THERE: Final = select(endpoints.c.id).where(endpoints.c.id == BROKER)


async def add_broker(database: Database) -> None:
    """Have changes recorded for the broker from now on, if they are not already."""
    if await database.row(_THERE) is not None:
        return
    row = {"id": BROKER, "push": str(Push.MQTT), "sees_everything": True, "targets": (), "failures": 0}
    try:
        async with database.write() as connection:
            await connection.execute(insert(endpoints), row)
    except ConstraintViolated:
        return  # another process was faster


async def remove_broker(database: Database) -> int | None:
    """Record nothing for the broker any more; return how many deliveries waited, None if nothing was recorded."""
    if await database.row(_THERE) is None:
        return None
    waiting = select(func.count()).where(deliveries.c.endpoint_id == BROKER, deliveries.c.ended_at.is_(None))
    async with database.write() as connection:
        count: int = (await connection.execute(waiting)).scalar_one()
        await connection.execute(delete(endpoints).where(endpoints.c.id == BROKER))
    return count
