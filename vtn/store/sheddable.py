"""Say in a column of their own what vens and resources can shed, so that a fleet is summed up by the database."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, Table, bindparam, select, update

from openadr_profiles.fleet.recipients import own_kw, resource_kw
from openadr_profiles.v31 import ValuesMap
from vtn.store.tables import resources, vens

_AT_ONCE: Final = 1000


class _Attributed(msgspec.Struct):
    attributes: tuple[ValuesMap, ...] | None = None


def resource_w(attributes: Sequence[ValuesMap] | None) -> int | None:
    """Return what a resource can shed by its attributes, in whole W; None if they do not say."""
    return _watts(resource_kw(attributes))


def ven_w(attributes: Sequence[ValuesMap] | None) -> int | None:
    """Return what a ven can shed by its own attributes, in whole W; it counts where no resource says anything."""
    return _watts(own_kw(attributes))


def fill_sheddable(connection: Connection) -> None:
    """Fill the columns of rows that were written before these were there, or by an earlier version."""
    for table, column, of in ((resources, resources.c.shed_w, resource_w), (vens, vens.c.max_w, ven_w)):
        after = ""
        while rows := connection.execute(_page(table, after)).mappings().all():
            after = rows[-1]["id"]
            found = [{"row": row["id"], "w": of(_attributes(row["members"]))} for row in rows]
            said = [each for each in found if each["w"] is not None]
            if said:
                statement = update(table).where(table.c.id == bindparam("row")).values({column.key: bindparam("w")})
                connection.execute(statement, said)


def _page(table: Table, after: str) -> Select[Any]:
    c = table.c
    return (
        select(c.id, c.members)
        .where(c.id > after, c.members.contains('"attributes"', autoescape=True))
        .order_by(c.id)
        .limit(_AT_ONCE)
    )


def _attributes(members: str) -> tuple[ValuesMap, ...] | None:
    try:
        return msgspec.json.decode(f"{{{members}}}".encode(), type=_Attributed).attributes
    except msgspec.MsgspecError:
        return None


def _watts(kw: Decimal | None) -> int | None:
    return None if kw is None else int((kw * 1000).to_integral_value())
