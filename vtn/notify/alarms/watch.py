"""Evaluate alarms: observe, apply the rules, and note what holds. Each thing is observed for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Final

import structlog

from vtn.alarms import rules
from vtn.alarms.kinds import AlarmKind
from vtn.alarms.rules import AlarmCondition
from vtn.errors import Unavailable
from vtn.notify.alarms import machine
from vtn.settings import Settings
from vtn.store.console.alarm_facts import AlarmFacts
from vtn.store.console.alarms import AlarmStore
from vtn.store.lease import Lease

_log = structlog.get_logger(__name__)

_OF_HOST: Final = (AlarmKind.CERTIFICATE_ENDS, AlarmKind.DISK_LOW)
_HOST_GONE_S: Final = 86_400.0
_DAY_S: Final = 86_400.0


class AlarmWatch:
    """The service that evaluates alarms: those of the database by one process, those of a host by one on that host.

    ``lease`` makes a lease of a name. What cannot be observed changes nothing.
    """

    def __init__(
        self,
        settings: Settings,
        facts: AlarmFacts,
        store: AlarmStore,
        *,
        lease: Callable[[str], Lease],
        host: str,
        now: Callable[[], datetime],
    ) -> None:
        self._all = settings
        self._settings = settings.alarms
        self._facts = facts
        self._store = store
        self._host = host
        self._now = now
        self._lease, self._host_lease = lease("alarms"), lease(f"alarms of {host}")

    async def run(self) -> None:
        """Evaluate from time to time, until cancelled."""
        while True:
            try:
                if await self._lease.take():
                    await self.evaluate()
                if await self._host_lease.take():
                    await self.evaluate_host()
            except Unavailable:
                _log.warning("the database does not answer; alarms are evaluated later")
            await asyncio.sleep(self._settings.evaluate_s)

    async def evaluate(self) -> tuple[int, int]:
        """Evaluate what the database knows; returns how many alarms were raised and cleared."""
        raised = await self._raised()
        looks = (
            (AlarmKind.VEN_SILENT, self._silent),
            (AlarmKind.EVENT_UNREPORTED, self._unreported),
            (AlarmKind.EVENT_UNDELIVERED, lambda: self._undelivered(raised)),
            (AlarmKind.DEAD_LETTERS, self._dead_letters),
            (AlarmKind.DATABASE_BEHIND, self._behind),
        )
        found, kinds = await self._look(looks)
        noted = await self._store.note(_rows(found), covers=lambda kind, _: kind in kinds)
        self._tell(*noted)
        await self._store.clear_unseen(_OF_HOST, for_s=_HOST_GONE_S)
        await self._store.remove_over(older_than_s=self._settings.keep_days * _DAY_S)
        return noted

    async def evaluate_host(self) -> tuple[int, int]:
        """Evaluate what only this host knows; returns how many alarms were raised and cleared."""
        raised = await self._raised()
        looks = ((AlarmKind.CERTIFICATE_ENDS, self._certificates), (AlarmKind.DISK_LOW, lambda: self._disks(raised)))
        found, kinds = await self._look(looks)
        own = rules.of_host(self._host, "")
        noted = await self._store.note(
            _rows(found), covers=lambda kind, subject: kind in kinds and subject.startswith(own)
        )
        self._tell(*noted)
        return noted

    async def _look(
        self, looks: Iterable[tuple[AlarmKind, Callable[[], Awaitable[Iterable[AlarmCondition]]]]]
    ) -> tuple[list[AlarmCondition], frozenset[str]]:
        """Return the conditions that hold, and the kinds that could be looked for; of what is off nothing holds."""
        found: list[AlarmCondition] = []
        kinds: set[str] = set()
        for kind, look in looks:
            try:
                found += () if kind in self._settings.off else await look()
            except Unavailable:
                raise
            except Exception:  # whatever it is, the other kinds are evaluated
                _log.exception("a kind of alarms cannot be evaluated", kind=kind)
            else:
                kinds.add(kind)
        return found, frozenset(kinds)

    async def _raised(self) -> frozenset[str]:
        return frozenset(each.subject for each in await self._store.holding() if each.kind in _LAST_LONGER)

    async def _silent(self) -> Iterable[AlarmCondition]:
        after_s = self._settings.silent_s
        return rules.silent_vens(await self._facts.silent_vens(after_s), silent_s=after_s)

    async def _unreported(self) -> Iterable[AlarmCondition]:
        after_s = self._settings.unreported_s
        return rules.unreported(await self._facts.unreported_events(), after_s=after_s, now=self._now())

    async def _undelivered(self, raised: frozenset[str]) -> Iterable[AlarmCondition]:
        settings = self._settings
        return rules.undelivered(
            await self._facts.running_events(raised),
            percent=settings.delivered_percent,
            after_s=settings.delivered_after_s,
            now=self._now(),
            raised=raised,
        )

    async def _dead_letters(self) -> Iterable[AlarmCondition]:
        return rules.dead_letters(await self._facts.dead_letters())

    async def _behind(self) -> Iterable[AlarmCondition]:
        behind_s = self._settings.behind_s
        return rules.behind(await self._facts.backlogs(behind_s), behind_s=behind_s, now=self._now())

    async def _certificates(self) -> Iterable[AlarmCondition]:
        days = self._settings.certificate_days
        found = await asyncio.to_thread(machine.certificates, self._all)
        return rules.certificate_ends(found, days=days, now=self._now(), host=self._host)

    async def _disks(self, raised: frozenset[str]) -> Iterable[AlarmCondition]:
        least = self._settings.disk_free_bytes
        found = await asyncio.to_thread(machine.disks, self._all)
        return rules.disk_low(found, least_bytes=least, host=self._host, raised=raised)

    def _tell(self, raised: int, cleared: int) -> None:
        if raised or cleared:
            _log.warning("alarms changed", raised=raised, cleared=cleared)


_LAST_LONGER: Final = frozenset({AlarmKind.EVENT_UNDELIVERED, AlarmKind.DISK_LOW})


def _rows(found: Iterable[AlarmCondition]) -> list[tuple[str, str, str]]:
    return [(each.kind.value, each.subject, each.text) for each in found]
