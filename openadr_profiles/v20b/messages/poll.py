"""Messages of the service OadrPoll, and the answer that every service may give."""

from __future__ import annotations

from openadr_profiles.v20b.messages.common import EiResponse, Part


class Poll(Part, frozen=True, kw_only=True):
    """Ask for the next message (B-POL-001)."""

    ven_id: str


class Response(Part, frozen=True, kw_only=True):
    """Answer without anything else: to a poll, that nothing is pending (B-POL-002)."""

    response: EiResponse
    ven_id: str | None = None
