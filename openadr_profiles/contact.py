"""Contacts: when a VTN last heard of each client. An extension of OpenADR Fleet, not part of OpenADR.

{"clientID": "home-1", "protocol": "OpenADR 3.1", "lastContact": "2026-01-31T16:00:00.000000Z",
 "lastRefused": {"at": "2026-01-30T09:00:00.000000Z", "status": 409, "title": "Conflict", "request": "POST /vens"},
 "software": "openadr-fleet/0.9", "clockOffset": -2.0}
"""

from __future__ import annotations

from msgspec import field

from openadr_profiles.v31.common import Instant, Int32, Text, Wire


class RefusedRequest(Wire, frozen=True, kw_only=True):
    """A request that was refused: its status and title as in the problem body, its method and path without ids."""

    at: Instant
    status: Int32
    title: Text
    request: Text


class Contact(Wire, frozen=True, kw_only=True):
    """The last contact of a client. What is not known is left out.

    ``protocol`` is that of its last request, such as ``OpenADR 3.1``. ``software`` is what the client calls itself, and
    ``clock_offset_s`` by how many seconds its clock is ahead of the VTN's, to about a second (RFC 9110 10.1.5, 6.6.1).
    """

    client_id: Text = field(name="clientID")
    protocol: Text
    last_contact: Instant | None = field(name="lastContact", default=None)
    last_refused: RefusedRequest | None = field(name="lastRefused", default=None)
    software: Text | None = None
    clock_offset_s: float | None = field(name="clockOffset", default=None)
