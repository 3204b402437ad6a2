"""The statement that reads the next deliveries of an endpoint, and what its rows mean."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Integer, Select, Text, bindparam, case, func, or_, select

from vtn.store.large import Row
from vtn.store.outbox.rows import Delivery, Notification, Operation, Version
from vtn.store.prepared import Prepared
from vtn.store.tables import deliveries, notifications
from vtn.store.types import octets

_TEXTS: Final = ("members", "before_members")
_OPERATION: Final = notifications.c.operation.label("noted_operation")


def _next() -> Prepared:
    """Return a statement for the next ``most`` deliveries behind ``after`` whose texts have ``max_bytes`` in all.

    The first one is there in any case, without its texts if it is larger.
    """
    size = octets(notifications.c.members) + octets(notifications.c.before_members) + octets(deliveries.c.vens)
    waiting = (
        select(deliveries.c.id, size.label("size"))
        .join(notifications)
        .where(
            deliveries.c.endpoint_id == bindparam("endpoint_id", type_=Text),
            deliveries.c.ended_at.is_(None),
            deliveries.c.id > bindparam("after", type_=BigInteger),
        )
        .order_by(deliveries.c.id)
        .limit(bindparam("most", type_=Integer))
        .subquery()
    )
    total = func.sum(waiting.c.size).over(order_by=waiting.c.id)
    summed = select(waiting.c.id, waiting.c.size, total.label("total"), func.count().over().label("waiting")).subquery()
    fits = summed.c.total <= bindparam("max_bytes", type_=BigInteger)
    texts = [case((fits, notifications.c[name])).label(name) for name in _TEXTS]
    changed = [column for column in notifications.c if column.key not in {*_TEXTS, "seq", "operation"}]
    return (
        select(deliveries, _OPERATION, *changed, *texts, summed.c.waiting)
        .select_from(summed)
        .join(deliveries, deliveries.c.id == summed.c.id)
        .join(notifications)
        .where(or_(fits, summed.c.total == summed.c.size))
        .order_by(deliveries.c.id)
    )


NEXT: Final = _next()


def select_deliveries() -> Select[Any]:
    """Return a statement for deliveries with their changes, in their order, as ``delivery_of`` takes its rows."""
    changes = [column for column in notifications.c if column.key not in {"seq", "operation"}]
    return select(deliveries, _OPERATION, *changes).join(notifications).order_by(deliveries.c.id)


def delivery_of(row: Row) -> Delivery:
    """Return the delivery in a row of ``NEXT`` or ``select_deliveries``."""
    return Delivery(
        id=row["id"],
        endpoint_id=row["endpoint_id"],
        notification=notification_of(row, row["noted_operation"]),
        operation=Operation(row["operation"]),
        held=_texts(row["held"]),
        vens=_texts(row["vens"]),
        attempts=row["attempts"],
    )


def notification_of(row: Row, operation: str) -> Notification:
    """Return the change in a row of ``notifications``."""
    before = None
    if row["before_modified_at"] is not None:
        before = Version(
            row["created_at"],
            row["before_modified_at"],
            _texts(row["before_targets"]),
            _texts(row["before_program_targets"]) or (),
            row["before_members"],
            row["before_program_id"],
            row["before_target_records"],
        )
    now = (row["created_at"], row["modified_at"], _texts(row["targets"]), _texts(row["program_targets"]) or ())
    return Notification(
        seq=row["seq"],
        noted_at=row["noted_at"],
        object_type=row["object_type"],
        operation=Operation(operation),
        object_id=row["object_id"],
        client_id=row["client_id"],
        program_id=row["program_id"],
        ven_id=row["ven_id"],
        targets_inside=row["targets_inside"],
        has_tokens=row["has_tokens"],
        now=Version(*now, row["members"], row["program_id"], row["target_records"]),
        before=before,
    )


def _texts(listed: Any) -> tuple[str, ...] | None:
    """Return a list of texts, which PostgreSQL's driver by itself gives as a list."""
    return None if listed is None else tuple(listed)
