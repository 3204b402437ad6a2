"""Checks of tokens and registration."""

from __future__ import annotations

from urllib.parse import parse_qs

from oadr_conformance.errors import Skipped
from oadr_conformance.registry import SHOULD
from oadr_conformance.ven31 import judging
from oadr_conformance.ven31.heard import HeardRequest
from oadr_conformance.ven31.judging import VenEvidence
from oadr_conformance.ven31.shapes import problems_of

area = judging.area("duties of a VEN: tokens and registration")
_OPEN = {"/auth/server", "/auth/token"}


@area.check("VENCLIENT-006")
async def asks_for_tokens_with_a_form(ven: VenEvidence) -> None:
    """Token requests are form-encoded, with the grant type client_credentials."""
    asked = ven.record.of("POST", "/auth/token")
    ven.looked_at(*asked)
    if not asked:
        ven.fail("a request for a token at /auth/token", "none")
    for one in asked:
        kind = one.exchange.request_headers.get("Content-Type", "")
        if not kind.lower().startswith("application/x-www-form-urlencoded"):
            ven.fail("the content type application/x-www-form-urlencoded", kind or "none", one)
        form = parse_qs(one.exchange.request_body.decode("utf-8", "replace"), max_num_fields=20)
        if form.get("grant_type") != ["client_credentials"]:
            ven.fail("grant_type=client_credentials", f"the members {', '.join(form)}", one)
        if one.status != 200:
            ven.fail("the client id and secret of this run", f"others: status {one.status}", one)


@area.check("VENCLIENT-006")
async def bears_its_token(ven: VenEvidence) -> None:
    """Once it has a token, each request to the API bears one."""
    given = [one for one in ven.record.of("POST", "/auth/token") if one.status == 200]
    if not given:
        raise Skipped("not reached: the VEN has no token")
    later = [one for one in ven.record.requests if one.at > given[0].at and one.path not in _OPEN]
    if not later:
        ven.fail("requests with the token", "none")
    for one in later:
        if one.token in {"none", "unknown"} and not one.path.startswith("?"):
            ven.fail("a token that the VTN gave out", one.token, one)


@area.check("VENCLIENT-004")
async def renews_its_token_in_time(ven: VenEvidence) -> None:
    """A token is renewed before it expires, so that no request bears an expired one."""
    given = [one for one in ven.record.of("POST", "/auth/token") if one.status == 200]
    if not given or not ven.record.requests or ven.record.requests[-1].at < given[0].at + ven.pace.token_s:
        raise Skipped("not reached: no token was as old as it could become")
    expired = [one for one in ven.record.requests if one.token == "expired"]
    ven.looked_at(*expired)
    if expired:
        ven.fail("a new token before the old one expires", f"{len(expired)} requests with an expired one", expired[0])


@area.check("VENCLIENT-005")
async def gets_one_new_token_after_a_401(ven: VenEvidence) -> None:
    """401 leads to one new token and to the same request again."""
    refused = [one for one in ven.record.requests if one.token == "revoked"]
    if not refused:
        raise Skipped("not reached: the VEN asked nothing with the token that was withdrawn")
    ven.looked_at(*refused)
    first = refused[0]
    fresh = [one for one in ven.record.of("POST", "/auth/token") if one.at > first.at and one.status == 200]
    if not fresh:
        ven.fail("a request for a new token", "none", first)
    again = [one for one in ven.record.requests if one.at > fresh[0].at and one.path == first.path]
    if not again:
        ven.fail(f"{first.method} {first.path} once more with the new token", "nothing", first)
    late = [one for one in refused if one.at > fresh[0].at + ven.pace.poll_s]
    if late:
        ven.fail("the new token in use", "the withdrawn one, again and again", late[0])


def _of_ven(ven: VenEvidence, path: str) -> list[HeardRequest]:
    made = ven.record.of("POST", path)
    if not made:
        raise Skipped(f"not applicable: the VEN makes no {path.strip('/')}; business logic may do that")
    ven.looked_at(*made)
    return made


@area.each("VENCLIENT-008", {"its ven": "vens", "its resources": "resources"})
async def registers(ven: VenEvidence, kind: str) -> None:
    """What a VEN registers has the objectType of a request by a VEN, and a name."""
    for one in _of_ven(ven, f"/{kind}"):
        wrong = problems_of(kind, one.json())
        if wrong:
            ven.fail("a body as the standard has it", "; ".join(wrong[:5]), one)


@area.check("VENCLIENT-008", SHOULD)
async def looks_before_it_registers(ven: VenEvidence) -> None:
    """A VEN asks for its ven first, and makes it only if there is none."""
    made = _of_ven(ven, "/vens")
    if not any(one.at < made[0].at for one in ven.record.of("GET", "/vens")):
        ven.fail("GET /vens before POST /vens", "POST /vens at once", made[0])
    twice = [one for one in made if one.status == 409]
    if len(twice) > 1:
        ven.fail("the ven read again after 409", f"{len(twice)} times POST /vens that is answered with 409", twice[-1])


@area.check("VENCLIENT-013", SHOULD)
async def subscribes(ven: VenEvidence) -> None:
    """A subscription has a clientName, and entries with objects, operations and a callback URL."""
    made = ven.record.of("POST", "/subscriptions")
    if not made:
        raise Skipped("not applicable: the VEN uses no subscription")
    ven.looked_at(*made)
    for one in made:
        wrong = problems_of("subscriptions", one.json())
        if wrong:
            ven.fail("a body as the standard has it", "; ".join(wrong[:5]), one)
