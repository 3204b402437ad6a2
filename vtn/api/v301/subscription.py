"""Subscriptions: /subscriptions. Those of no program, which 3.1 may have, do not exist here (V301-042)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from openadr_profiles import v31
from openadr_profiles.v31 import ObjectType
from openadr_profiles.v301 import VERSION, SubscriptionRequest
from vtn.access import READ_OWNED, WRITE_SUBSCRIPTIONS, Caller
from vtn.api.collection import CollectionHandlers, Route
from vtn.api.query import Query
from vtn.api.v301.face import Face, Rules, read_body
from vtn.api.v301.render import Renderer
from vtn.cache.responses import ResponseCache
from vtn.errors import Malformed
from vtn.notify.callback import Callbacks
from vtn.store.large import Large
from vtn.store.query import SubscriptionQuery
from vtn.store.rows import ObjectRow, Precondition, SubscriptionRow
from vtn.store.subscription import SubscriptionStore
from vtn.store.typed_targets import Records


class _Written(NamedTuple):
    core: v31.SubscriptionRequest
    records: Records


class _Subscriptions(Face[SubscriptionQuery]):
    """Subscriptions as this version writes and reads them."""

    def __init__(self, subscriptions: SubscriptionStore, rules: Rules, callbacks: Callbacks, *, legacy: bool) -> None:
        super().__init__(subscriptions, rules)
        self._subscriptions = subscriptions
        self._callbacks = callbacks
        self._verify = callbacks.verify_addresses if legacy else callbacks.verify
        self.was_read = subscriptions.was_read

    async def get(self, object_id: str, *, visible_to: Caller) -> ObjectRow | Large:
        reader = self.rules.reader(visible_to)
        return await self._subscriptions.get(object_id, visible_to=reader, of_a_program=True)

    async def create(self, written: _Written, *, by: Caller) -> ObjectRow:
        core, records = written
        return await self._subscriptions.create(
            core, by=by, reader=self.rules.reader(by), records=records, face=VERSION, verify=self._verify
        )

    async def replace(
        self, object_id: str, written: _Written, *, by: Caller, check: Precondition | None = None
    ) -> ObjectRow:
        """Put a subscription in the place of another, which stays on its face: only here callbacks may be lenient."""
        present = await self._subscriptions.get(object_id, visible_to=by, of_a_program=True)  # is the caller's own
        core, records = written
        is_ours = isinstance(present, SubscriptionRow) and present.face == VERSION
        if not is_ours:
            self._callbacks.check(core.object_operations)
        return await self._subscriptions.replace(
            object_id,
            core,
            by=by,
            reader=self.rules.reader(by),
            check=check,
            records=records,
            verify=self._verify if is_ours else self._callbacks.verify,
        )

    async def delete(self, object_id: str, *, by: Caller, check: Precondition | None = None) -> ObjectRow:
        await self._subscriptions.get(object_id, visible_to=by, of_a_program=True)
        return await self._subscriptions.delete(object_id, by=by, check=check)


def routes(
    store: SubscriptionStore, cache: ResponseCache, rules: Rules, callbacks: Callbacks, *, legacy: bool
) -> tuple[Route, ...]:
    """Return the routes of subscriptions. With ``legacy`` callbacks may be http, and are not asked (V301-043)."""

    def body(raw: bytes, _: Caller) -> _Written:
        written = _Written(*read_body(raw, SubscriptionRequest).core())
        callbacks.check(written.core.object_operations, plain=legacy)
        return written

    subscriptions = CollectionHandlers(
        "subscriptions",
        _Subscriptions(store, rules, callbacks, legacy=legacy),
        Renderer(ObjectType.SUBSCRIPTION, rules.untyped),
        cache,
        query=partial(_query, rules),
        body=body,
    )
    return subscriptions.routes(
        read=READ_OWNED, create=WRITE_SUBSCRIPTIONS, replace=WRITE_SUBSCRIPTIONS, delete=WRITE_SUBSCRIPTIONS
    )


def _query(rules: Rules, query: Query) -> SubscriptionQuery:
    kinds = query.texts("objects")
    if kinds is not None and (unknown := set(kinds) - set(ObjectType)):
        raise Malformed(f"objects: expected {', '.join(ObjectType)}, not {min(unknown)[:40]}")
    return SubscriptionQuery(
        page=query.page(),
        typed=rules.target_filter(query),
        of_a_program=True,
        program_id=query.object_id("programID"),
        client_name=query.text("clientName"),
        objects=kinds,
    )
