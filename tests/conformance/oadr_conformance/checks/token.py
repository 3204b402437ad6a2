"""TOKEN and COMP-005: how token answers and refusals travel."""

from __future__ import annotations

from oadr_conformance.checks.auth import ask_token, token_fields
from oadr_conformance.probe import Probe
from oadr_conformance.registry import Area

area = Area("RFC 6749 section 5.1; RFC 6750 section 3")


@area.each("TOKEN-001 AUTH-021", {"a token": {}, "an error": {"client_secret": "wrong"}}, needs="secret")
async def never_cached(t: Probe, change: dict[str, str]) -> None:
    """Answers of the token endpoint, tokens and errors, are not to be stored: no-store and Pragma no-cache."""
    answer = await ask_token(t, token_fields(t.session.subject.bl) | change)
    answer.header("Cache-Control", "no-store")
    answer.header("Pragma", "no-cache")


@area.check("TOKEN-001")
async def refusal_without_token(t: Probe) -> None:
    """401 to a request without a token has WWW-Authenticate: Bearer and no error, for none was made."""
    answer = await t.nobody.get("/events")
    told = answer.expect(401).header("WWW-Authenticate", "Bearer")
    answer.true("error=" not in told, "no error=", told)


@area.check("TOKEN-001")
async def refusal_of_a_bad_token(t: Probe) -> None:
    """A refused token is told so: WWW-Authenticate: Bearer with error="invalid_token"."""
    answer = await t.impostor.get("/events")
    answer.expect(t.profile.invalid_token_status).header("WWW-Authenticate", 'error="invalid_token"')


@area.check("COMP-005", needs="secret", section="Definition: Compression")
async def never_compressed(t: Probe) -> None:
    """Answers of the token endpoint are not compressed, whatever the client accepts."""
    answer = await ask_token(t, token_fields(t.session.subject.bl), {"Accept-Encoding": "gzip, deflate"})
    coding = answer.expect(200).headers.get("Content-Encoding", "identity")
    answer.same("Content-Encoding", coding, "identity")
