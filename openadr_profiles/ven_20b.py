"""VENs of OpenADR 2.0b as business logic sees them. An extension of OpenADR Fleet, not part of OpenADR.

{"venID": "3f2a", "venName": "home-1", "clientID": "oadr20b-0123…", "wireID": "3f2a", "fingerprints": ["AA:BB:…"],
 "registrationID": "77aa", "registered": true, "push": false, "reportOnly": false, "xmlSignature": false,
 "disabled": false, "waiting": 1}
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, field

from openadr_profiles.v31.common import Instant, Int32, Name, Target, Text, Wire

CLIENT_PREFIX: Final = "oadr20b-"
"""The beginning of the client ids of these VENs; no token is ever issued to them."""

Fingerprint = Annotated[str, Meta(max_length=128)]


class EnrolmentRequest(Wire, frozen=True, kw_only=True):
    """Enrol a VEN by the fingerprint of its certificate, or change what is known of it: what is absent stays.

    ``wire_id`` is the venID in messages, by default the id of the ven; ``targets`` are for a VEN that is new.
    """

    ven_name: Name = field(name="venName")
    add_fingerprint: Fingerprint | None = field(name="addFingerprint", default=None)
    drop_fingerprint: Fingerprint | None = field(name="dropFingerprint", default=None)
    wire_id: Name | None = field(name="wireID", default=None)
    targets: tuple[Target, ...] | None = None
    xml_signature: bool | None = field(name="xmlSignature", default=None)
    disabled: bool | None = None


class OrderRequest(Wire, frozen=True, kw_only=True):
    """Tell a VEN something about its registration, at its next poll."""

    ven_name: Name = field(name="venName")
    order: Literal["REREGISTER", "CANCEL"]


class EnrolledVen(Wire, frozen=True, kw_only=True):
    """Tell of a VEN that is enrolled for OpenADR 2.0b; what is not known, or is not so, is left out.

    ``waiting`` counts messages that it has not acknowledged, without events; ``overdue`` counts reports that it agreed
    to and whose values are missing. It is ``offline`` if it is registered, polls, and was not heard of for too long.
    """

    ven_id: Text = field(name="venID")
    ven_name: Text = field(name="venName")
    client_id: Text = field(name="clientID")
    wire_id: Text = field(name="wireID")
    fingerprints: tuple[Text, ...]
    registration_id: Text | None = field(name="registrationID", default=None)
    own_name: Text | None = field(name="ownName", default=None)
    registered: bool
    registered_at: Instant | None = field(name="registeredAt", default=None)
    push: bool
    push_url: Text | None = field(name="pushURL", default=None)
    report_only: bool = field(name="reportOnly")
    xml_signature: bool = field(name="xmlSignature")
    disabled: bool
    waiting: Int32
    overdue: Int32 = 0
    offline: bool = False
    cancel_refused_at: Instant | None = field(name="cancelRefusedAt", default=None)
