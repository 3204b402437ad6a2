"""Findings of a program that examines what it needs to run, and those that are the same for every client of a VTN."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from openadr_client.errors import ClientError, Refused, Unauthorized, Unreachable, UntrustedServer

if TYPE_CHECKING:
    from openadr_client.client import VtnClient
    from openadr_client.clock import Clock

_CLOCK_OFF: Final = timedelta(seconds=5)


class Condition(StrEnum):
    """The result of one check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Checkup:
    """Hold what was found out about one thing, and what to do about it if it is not ok."""

    what: str
    health: Condition
    text: str
    to_do: str | None = None


def what_to_do(error: ClientError) -> str:
    """Return what an operator can do about an error of the VTN; names settings of the group ``vtn``."""
    if isinstance(error, UntrustedServer):
        return "name the authority of its certificate in vtn.ca_file, and use the name that the certificate has"
    if isinstance(error, Unreachable):
        return "check vtn.url and the network; is the VTN running?"
    if isinstance(error, Unauthorized):
        return "check vtn.client_id and vtn.client_secret with the operator"
    if isinstance(error, Refused):
        return "ask the operator whether this client has the role VEN and its scopes, and check the path of vtn.url"
    return "try again later; if it stays, vtn.url may not be the root of an OpenADR 3 VTN, or vtn.version another"


async def check_clock(client: VtnClient, clock: Clock) -> Checkup:
    """Compare our clock with that of the VTN."""
    before = clock.now()
    try:
        theirs = await client.server_time()
    except ClientError as error:
        return Checkup("clock", Condition.WARNING, str(error), what_to_do(error))
    after = clock.now()
    if theirs is None:
        return Checkup("clock", Condition.WARNING, "the VTN does not say what time it is", "check it by other means")
    # The header counts whole seconds: it is right for a second.
    off = max(before - theirs - timedelta(seconds=1), theirs - after, timedelta(0))
    if off > _CLOCK_OFF:
        text = f"this clock and the VTN's differ by {off.total_seconds():.0f} s"
        return Checkup(
            "clock", Condition.FAILED, text, "have this computer's clock set by NTP: events begin at its seconds"
        )
    return Checkup("clock", Condition.OK, f"within {_CLOCK_OFF.total_seconds():g} s of the VTN's")
