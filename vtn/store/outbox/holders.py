"""The targets that many clients hold, read together: who tells thousands of VENs of a change cannot ask for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Final

from sqlalchemy import and_, select, union_all

from vtn.counters.revisions import Revision, Watch
from vtn.store.database import Database
from vtn.store.tables import resources, vens
from vtn.store.types import only
from vtn.store.visibility import Visibility

_AT_ONCE: Final = 500
_REMEMBERED: Final = 50_000


class Holders:
    """Tells the targets that clients hold now (PRIV-003), and remembers them while no ven and no resource changes."""

    def __init__(self, database: Database, visibility: Visibility) -> None:
        self._database = database
        self._visibility = visibility
        self._known: dict[str, frozenset[str]] = {}
        self._revision: Revision | None = None
        self._expires: float | None = None

    @cached_property
    def _watch(self) -> Watch | None:
        """Return a watch on what grants targets; used from the first look on, when revisions are shared."""
        return self._database.watch(vens, resources)

    async def held_by(self, client_ids: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return the targets of each of these clients, which are VENs; there may be others. Raises Unavailable."""
        known = self._still_known()
        missing = [client_id for client_id in client_ids if client_id not in known]
        for start in range(0, len(missing), _AT_ONCE):
            await self._read(known, missing[start : start + _AT_ONCE])
        return known

    def _still_known(self) -> dict[str, frozenset[str]]:
        """Return what is known and still holds; what is added to it later holds as long."""
        watch = self._watch
        revision = None if watch is None else watch.revision()
        if watch is None or revision is None:
            return {}
        if revision != self._revision or watch.past(self._expires) or len(self._known) > _REMEMBERED:
            self._known, self._revision, self._expires = {}, revision, watch.until()
        return self._known

    async def _read(self, known: dict[str, frozenset[str]], client_ids: Collection[str]) -> None:
        of_vens = select(vens.c.client_id, vens.c.id.label("ven_id"), vens.c.targets.label("held"))
        theirs = and_(resources.c.ven_id == vens.c.id, resources.c.client_id == vens.c.client_id)
        of_resources = select(vens.c.client_id, vens.c.id, resources.c.targets).join(resources, theirs)
        chosen = vens.c.client_id.in_(client_ids)
        granted = [of_vens.where(chosen), of_resources.where(chosen)]
        if self._visibility.names:
            of_ven = select(vens.c.client_id, vens.c.id, only(vens.c.name))
            of_resource = select(vens.c.client_id, vens.c.id, only(resources.c.name)).join(resources, theirs)
            granted.append(of_ven.where(chosen, vens.c.named_by_bl))
            granted.append(of_resource.where(chosen, resources.c.named_by_bl))
        ven_ids: dict[str, str] = {}
        held: defaultdict[str, set[str]] = defaultdict(set)
        for row in await self._database.rows(union_all(*granted)):
            ven_ids[row["client_id"]] = row["ven_id"]
            held[row["client_id"]].update(row["held"])
        for client_id in client_ids:
            its = {"ven_id": ven_ids.get(client_id), "held": held.get(client_id, ())}
            known[client_id] = self._visibility.held(its)
