"""Share what all collections of OpenADR 3.0.1 need: bodies, queries, and who reads (V301-005, V301-007)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

from openadr_profiles.v31 import decode
from openadr_profiles.v31.numbers import as_written
from vtn.access import Caller, Role
from vtn.api.query import Query
from vtn.cache.reader import Readable
from vtn.store.large import Large
from vtn.store.query import TargetFilter
from vtn.store.rows import ObjectRow, RowPage
from vtn.version_settings import V301

D = TypeVar("D")
Q = TypeVar("Q", bound=Hashable)


class Rules(NamedTuple):
    """The settings of this version that its collections follow."""

    untyped: str
    reads_all: bool
    max_nested_resources: int

    @staticmethod
    def of(settings: V301) -> Rules:
        """Return those of the settings."""
        return Rules(settings.untyped, settings.privacy == "legacy", settings.max_nested_resources)

    def reader(self, caller: Caller) -> Caller:
        """Return the caller as reader: with ``v301.privacy=legacy`` every client reads everything (V301-007)."""
        return replace(caller, role=Role.BL) if self.reads_all and caller.public is None else caller

    def target_filter(self, query: Query) -> TargetFilter | None:
        """Return the filter by ``targetType`` and ``targetValues`` of a search; None if there is none (V301-005)."""
        type_, values = query.text("targetType"), query.texts("targetValues")
        if type_ is None and values is None:
            return None
        return TargetFilter(type=type_, values=values, untyped=type_ == self.untyped)


class Face(Generic[Q]):
    """The reading of a store by clients of this version."""

    def __init__(self, store: Readable[Q], rules: Rules) -> None:
        self.store = store
        self.rules = rules
        self.watch, self.watch_with_grants = store.watch, store.watch_with_grants

    async def audience(self, caller: Caller) -> Caller:
        """Return all that an answer depends on of its caller."""
        return await self.store.audience(self.rules.reader(caller))

    async def search(self, query: Q, *, visible_to: Caller) -> RowPage | Large:
        """Return one page of the objects that the caller may see."""
        return await self.store.search(query, visible_to=self.rules.reader(visible_to))

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        """Return one object; raises NotFound."""
        return await self.store.get(object_id, visible_to=self.rules.reader(visible_to))


def read_body(raw: bytes, type_: type[D]) -> D:
    """Return a document of this version, with its numbers as they were written; raises Invalid."""
    return as_written(decode(raw, type_), raw)
