"""VENs of OpenADR 2.0b for business logic: /vens_20b, an extension of ours."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from openadr_profiles.v20b import fingerprint
from openadr_profiles.v31 import Invalid, decode, encode
from openadr_profiles.ven_20b import EnrolmentRequest, OrderRequest
from vtn.access import Permission, Scope
from vtn.api.collection import Call, Route
from vtn.api.json_bodies import small_json
from vtn.errors import Conflict
from vtn.http import conditional
from vtn.http.responses import CachedResponse
from vtn.store.query import VenQuery
from vtn.store.v20b.listing import VenListing20b
from vtn.store.v20b.outbox import Outbox20b
from vtn.store.v20b.vens import VenStore20b

_READ: Final = Permission(frozenset({Scope.READ_ALL, Scope.READ_BL}), only_bl=True)
_WRITE: Final = Permission(frozenset({Scope.WRITE_VENS}), only_bl=True)
_MESSAGES: Final = {"REREGISTER": "oadrRequestReregistration", "CANCEL": "oadrCancelPartyRegistration"}
_MOST_BYTES: Final = 256 * 1024


def routes(vens: VenStore20b, outbox: Outbox20b, listing: VenListing20b) -> tuple[Route, ...]:
    """Return the routes of VENs of OpenADR 2.0b."""

    async def search(call: Call) -> web.StreamResponse:
        """Answer with one page of enrolled VENs, by their names."""
        query = VenQuery(page=call.query.page(), names=call.query.texts("venName"))
        return conditional.read_small(call.request, CachedResponse(encode(await listing.search(query))))

    async def enrol(call: Call) -> web.StreamResponse:
        """Enrol a VEN, or change what is known of it; answer with what it is now (B-REG-016, B-SEC-013)."""
        given = decode(await small_json(call.request, most=_MOST_BYTES), EnrolmentRequest)
        id_ = await vens.enrol(
            given.ven_name,
            by=call.caller,
            fingerprint=_fingerprint("addFingerprint", given.add_fingerprint),
            dropped=_fingerprint("dropFingerprint", given.drop_fingerprint),
            wire_id=given.wire_id,
            targets=given.targets,
            signs=given.xml_signature,
            is_disabled=given.disabled,
        )
        (now,) = await listing.of(id_)
        return conditional.read_small(call.request, CachedResponse(encode(now)))

    async def order(call: Call) -> web.StreamResponse:
        """Have a VEN told to register again, or that its registration ends (B-REG-010, B-REG-013)."""
        given = decode(await small_json(call.request, most=_MOST_BYTES), OrderRequest)
        found = await listing.search(VenQuery(names=(given.ven_name,)))
        if not found:
            raise Invalid("venName", "no VEN of this name is enrolled for OpenADR 2.0b")
        if not found[0].registered:
            raise Conflict("venName: the VEN is not registered")
        await outbox.put(found[0].ven_id, _MESSAGES[given.order], is_control=True)
        (now,) = await listing.of(found[0].ven_id)
        return conditional.read_small(call.request, CachedResponse(encode(now)))

    return (
        Route("GET", "/vens_20b", search, _READ),
        Route("POST", "/vens_20b", enrol, _WRITE),
        Route("POST", "/vens_20b/orders", order, _WRITE),
    )


def _fingerprint(member: str, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return fingerprint.parse(text)
    except ValueError as error:
        raise Invalid(member, str(error)) from None
