"""Opens an examination of a VEN: listens for it, plays the scenario, and judges what was heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from oadr_conformance.address import ReceiverAddress
from oadr_conformance.errors import Misused, Unreachable
from oadr_conformance.examining import examined, utc_now
from oadr_conformance.registry import Check
from oadr_conformance.results import Result, Run
from oadr_conformance.session import Credential
from oadr_conformance.ven31.judging import VenEvidence
from oadr_conformance.ven31.pace import ScenarioPace
from oadr_conformance.ven31.scenario import play
from oadr_conformance.ven31.server import LabVtn


@dataclass(frozen=True)
class SubjectVen:
    """Describe the examination of one VEN: where it finds the VTN, what it is configured with, and how fast it is."""

    address: ReceiverAddress
    credential: Credential
    pace: ScenarioPace = field(default_factory=ScenarioPace)
    rulings: bool = False
    product: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        """
        Raises:
            Misused: the credential is none that a VEN can get a token with.
        """
        if not self.credential.client_id or not self.credential.client_secret:
            raise Misused("a VEN needs a client id and a secret")


async def run_ven(
    subject: SubjectVen,
    checks: Iterable[Check],
    *,
    profile_name: str = "3.1",
    now: Callable[[], datetime] = utc_now,
    progress: Callable[[Result], None] = lambda _result: None,
    tell: Callable[[str], None] = lambda _stage: None,
    stop: asyncio.Event | None = None,
    of: int = 0,
) -> Run:
    """Examine a VEN. When `stop` is set the scenario ends, and what was not reached is skipped.

    Raises:
        Unreachable: no VEN appears, or the run was stopped before one did.
        Misused: the address cannot be listened at.
    """
    started, clock = now(), time.monotonic()
    stop = stop or asyncio.Event()
    vtn = LabVtn(subject.address, subject.credential, token_s=subject.pace.token_s)
    await vtn.start()
    try:
        tell(f"waiting for the VEN at {vtn.url}, at most {subject.pace.wait_s:g} s")
        playing, stopped = asyncio.ensure_future(play(vtn, subject.pace, tell)), asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({playing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not playing.done():
                playing.cancel()
                await asyncio.wait({playing})
        if not playing.cancelled() and not playing.result():
            raise Unreachable(f"no VEN asked anything at {vtn.url} within {subject.pace.wait_s:g} s")
    finally:
        await vtn.stop()
    examination = _VenExamination(subject, vtn)
    result = await examined(
        examination, checks, profile_name=profile_name, started=started, progress=progress, stop=stop, of=of
    )
    return replace(result, seconds=time.monotonic() - clock)


class _VenExamination:
    """A scenario that was played, as the checks judge it."""

    def __init__(self, subject: SubjectVen, vtn: LabVtn) -> None:
        self._subject = subject
        self._vtn = vtn

    @property
    def base(self) -> str:
        return self._vtn.url

    @property
    def rulings(self) -> bool:
        return self._subject.rulings

    @property
    def secrets(self) -> Sequence[str]:
        return self._vtn.secrets

    @property
    def warnings(self) -> Sequence[str]:
        dropped = self._vtn.record.dropped
        return [f"{dropped} requests of the VEN were too many to keep; they are not judged"] if dropped else []

    @property
    def switches(self) -> Sequence[str]:
        return ["rulings.binding=true"] if self._subject.rulings else []

    def asking(self, _check: Check) -> VenEvidence:
        return VenEvidence(self._vtn.record, self._subject.pace)

    def missing(self, _check: Check) -> str:
        return ""

    async def product(self) -> tuple[str, str]:
        """Name and version of the VEN: as given, else from its `User-Agent` header."""
        if self._subject.product:
            return self._subject.product, self._subject.version
        agents = (one.exchange.request_headers.get("User-Agent", "") for one in self._vtn.record.requests)
        name, _, version = next(agents, "").partition(" ")[0].partition("/")
        return name or "unknown", self._subject.version or version

    async def lost(self) -> tuple[str, bool]:
        return "", False
