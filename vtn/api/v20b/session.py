"""Hold what a service of OpenADR 2.0b gets beside a message: who sent it, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from openadr_profiles.v20b.messages import Message
from vtn.store.v20b.vens import Ven20b

Answer: TypeAlias = Message | bytes | None
"""A message, or the bytes of a whole one that is ready; None: HTTP 200 without content (B-REG-010)."""


@dataclass(frozen=True, slots=True)
class Session20b:
    """Hold one request of a VEN that is known by its certificate.

    ``now`` is the time it came, ``digest`` that of its bytes.
    """

    ven: Ven20b
    vtn_id: str
    now: datetime
    fingerprint: str
    digest: str = ""


class MessageService(Protocol):
    """A service: EiRegisterParty, EiEvent, EiReport, EiOpt or OadrPoll."""

    async def handle(self, message: Message, session: Session20b) -> Answer:
        """Answer a message that is meant for this service; raises RefusedMessage."""


def element_of(message: Message) -> str:
    """Return the name of a message's element, as ``oadrPoll``."""
    return f"oadr{type(message).__name__}"
