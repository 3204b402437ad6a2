"""Contacts: GET /contacts, an extension of ours for business logic. No object of the standard has these members."""

from __future__ import annotations

from aiohttp import web

from openadr_profiles.v31 import encode
from vtn.access import Permission, Scope, business_logic_only
from vtn.api.collection import Call, Route
from vtn.contacts import ContactRecorder
from vtn.http import conditional
from vtn.http.responses import CachedResponse
from vtn.store.contact import ContactStore
from vtn.store.query import ContactQuery

_READ = Permission(frozenset({Scope.READ_ALL, Scope.READ_BL}))


def routes(store: ContactStore, contacts: ContactRecorder) -> tuple[Route, ...]:
    """Return the route of contacts."""

    async def search(call: Call) -> web.StreamResponse:
        """Answer with one page of contacts; before the first page, what this process has heard is stored."""
        business_logic_only(call.caller)
        page = call.query.page()
        query = ContactQuery(page=page, client_ids=call.query.texts("clientID"))
        if not page.skip:
            await contacts.store()
        return conditional.read_small(call.request, CachedResponse(encode(await store.search(query))))

    return (Route("GET", "/contacts", search, _READ),)
