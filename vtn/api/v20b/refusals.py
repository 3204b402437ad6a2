"""Refusals in the words of OpenADR 2.0b, and what this server offers."""

from __future__ import annotations

from typing import Final

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.messages import EiResponse, Profile

PROFILES: Final = (Profile(name="2.0b", transports=("simpleHttp",)),)
"""What this server speaks: profile B over simple HTTP (B-REG-001)."""


class RefusedMessage(Exception):
    """A message is not carried out. ``code`` and the text are for the VEN, and tell nothing about others."""

    def __init__(self, code: Code, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


def accepted(request_id: str, description: str = "OK") -> EiResponse:
    """Return the part of an answer that says that all went well."""
    return EiResponse(code=Code.OK.value, description=description, request_id=request_id)
