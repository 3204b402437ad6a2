"""Which topics of a VTN's broker are for us: asked endpoint by endpoint, and again when programs have changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from openadr_client.errors import BrokerRefused, Forbidden, NotFound
from openadr_profiles.v31 import OperationTopics

if TYPE_CHECKING:
    from openadr_client.client import VtnClient

_log = structlog.get_logger(__name__)

_Ask = Callable[[], Awaitable[OperationTopics]]

OBJECT_KINDS: Final = ("PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE")
"""The kinds of objects that a VTN tells of."""


class TopicChoice:
    """Chooses topics for some kinds of objects: those of everything, or with ``ven_id`` those for that ven.

    A VEN is told of its own events and programs, and of everybody's (VENCLIENT-014). The latter have a topic for each
    program, so the topics of all programs belong to them: a new program has a topic that is not known yet.
    """

    def __init__(self, vtn: VtnClient, *, objects: Collection[str], ven_id: str | None) -> None:
        self._vtn = vtn
        self._objects = objects
        self._ven_id = ven_id
        self._constant: tuple[str, ...] | None = None
        self._of_programs: dict[tuple[str, datetime], tuple[str, ...]] = {}

    def is_affected_by(self, object_type: str) -> bool:
        """Return True if a change of such an object may mean other topics."""
        return self._ven_id is not None and "EVENT" in self._objects and object_type in {"PROGRAM", "VEN", ""}

    def forget(self) -> None:
        """Have also those topics asked for again that do not depend on a program."""
        self._constant = None

    async def filters(self) -> tuple[str, ...]:
        """Return what to subscribe to; what does not depend on a program is asked for once, and after `forget`.

        Raises:
            BrokerRefused: the VTN has no topic for us at all.
            VtnError: the VTN could not be asked.
        """
        if self._constant is None:
            asks = self._business_logic() if self._ven_id is None else self._ven(self._ven_id)
            self._constant = tuple([topic for ask in asks for topic in await _allowed(ask)])
        found = dict.fromkeys(self._constant)
        if self._ven_id is not None and "EVENT" in self._objects:
            found.update(dict.fromkeys(await self._program_events()))
        if not found:
            raise BrokerRefused(f"the VTN has no topics for us about {', '.join(self._objects)}")
        return tuple(found)

    def _business_logic(self) -> list[_Ask]:
        topics = self._vtn.topics
        asks: dict[str, _Ask] = {
            "PROGRAM": topics.programs,
            "EVENT": topics.events,
            "REPORT": topics.reports,
            "SUBSCRIPTION": topics.subscriptions,
            "VEN": topics.vens,
            "RESOURCE": topics.resources,
        }
        return [ask for kind, ask in asks.items() if kind in self._objects]

    def _ven(self, ven_id: str) -> list[_Ask]:
        topics = self._vtn.topics
        asks: list[tuple[set[str], _Ask]] = [
            ({"PROGRAM", "EVENT"}, topics.programs),
            ({"PROGRAM", "EVENT"}, lambda: topics.ven_programs(ven_id)),
            ({"EVENT"}, lambda: topics.ven_events(ven_id)),
            ({"VEN"}, lambda: topics.ven(ven_id)),
            ({"RESOURCE"}, lambda: topics.ven_resources(ven_id)),
        ]
        return [ask for kinds, ask in asks if not kinds.isdisjoint(self._objects)]

    async def _program_events(self) -> list[str]:
        """Return the topics of the events of every program that we may see; asked only for what has changed."""
        known, now = self._of_programs, {}
        for program in await self._vtn.programs.search():
            version = program.id, program.modification_date_time
            if version not in known:
                known[version] = await _allowed(partial(self._vtn.topics.program_events, program.id))
            now[version] = known[version]
        self._of_programs = now
        return [topic for topics in now.values() for topic in topics]


async def _allowed(ask: _Ask) -> tuple[str, ...]:
    """Return the topics of one endpoint, none if it is not for us or not there."""
    try:
        return (await ask()).filters
    except (Forbidden, NotFound) as error:
        _log.debug("no topics", problem=str(error))
        return ()
