"""vens together with their resources, as 3.0.1 shows them (V301-028)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vtn.access import Caller
from vtn.errors import ChangedMeanwhile, NotFound
from vtn.store.large import SIZE, WHOLE_BYTES, Large, Row
from vtn.store.query import VenQuery
from vtn.store.resource import ResourceStore, ResourceSum
from vtn.store.rows import ObjectRow, RowPage, VenRow
from vtn.store.ven import VenStore

_NONE = ResourceSum(0, 0, "")


@dataclass(frozen=True, slots=True)
class VensWithResources:
    """Reads vens with all their resources that the reader sees.

    They are read at once if they are small, else ven by ven as they are sent.
    """

    vens: VenStore
    resources: ResourceStore

    async def search(self, query: VenQuery, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of vens; raises ChangedMeanwhile (read the page again)."""
        found = await self.vens.search(query, visible_to=visible_to)
        heads = found.rows if isinstance(found, Large) else [_head(row) for row in found]
        sums = await self.resources.sums_of_vens([head["id"] for head in heads], visible_to=visible_to)
        total = sum(head[SIZE] + sums.get(head["id"], _NONE).size_bytes for head in heads)
        if isinstance(found, Large) or total > WHOLE_BYTES:
            return self._large(heads, sums, visible_to, is_list=True)
        its = await self.resources.of_vens([row.id for row in found], visible_to=visible_to)
        return RowPage(_joined(row, its[row.id]) for row in found)

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        """Return one ven; raises NotFound."""
        found = await self.vens.get(object_id, visible_to=visible_to)
        head = found.rows[0] if isinstance(found, Large) else _head(found)
        sums = await self.resources.sums_of_vens([object_id], visible_to=visible_to)
        if isinstance(found, Large) or head[SIZE] + sums.get(object_id, _NONE).size_bytes > WHOLE_BYTES:
            return self._large([head], sums, visible_to, is_list=False)
        return await self.joined(found, visible_to=visible_to)

    async def joined(self, ven: ObjectRow, *, visible_to: Caller) -> VenRow:
        """Return a ven with its resources as they are now."""
        return _joined(ven, (await self.resources.of_vens([ven.id], visible_to=visible_to))[ven.id])

    def _large(self, heads: Sequence[Row], sums: dict[str, ResourceSum], reader: Caller, *, is_list: bool) -> Large:
        async def read(row: Row) -> ObjectRow:
            ven_id: str = row["id"]
            try:
                ven = await self.vens.get(ven_id, visible_to=reader)
            except NotFound:
                raise ChangedMeanwhile from None
            whole = await ven.row(0) if isinstance(ven, Large) else ven
            now = await self.resources.sums_of_vens([ven_id], visible_to=reader)
            if whole.modified_at != row["modified_at"] or now.get(ven_id) != sums.get(ven_id):
                raise ChangedMeanwhile
            return await self.joined(whole, visible_to=reader)

        rows = [{**head, SIZE: head[SIZE] + sums.get(head["id"], _NONE).size_bytes} for head in heads]
        return Large(str(self.vens.kind), rows, audience=sorted(sums.items()), read=read, is_list=is_list)


def _head(row: ObjectRow) -> dict[str, Any]:
    return {"id": row.id, "modified_at": row.modified_at, SIZE: len(row.members)}


def _joined(row: ObjectRow, resources: tuple[ObjectRow, ...]) -> VenRow:
    return VenRow(row.id, row.created_at, row.modified_at, row.members, row.targets, row.records, resources=resources)
