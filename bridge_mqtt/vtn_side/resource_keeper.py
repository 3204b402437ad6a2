"""The resources of the bridge's ven, one for each panel and circuit, kept in the background: no event waits for them.

With 10,000 panels they are 90,000 objects. So what the VTN has is read page by page, of each resource only a number is
kept that tells whether its attributes are as wanted, and a few requests at a time bring what is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog

from bridge_mqtt.health import Health
from bridge_mqtt.model import PanelRecord
from bridge_mqtt.resources import OUR_ATTRIBUTES, wanted_resources
from openadr_client import Backoff, Clock, Forbidden, Refused, VtnClient, VtnError, register_resource
from openadr_profiles.v31 import ValuesMap

_log = structlog.get_logger(__name__)

_PIECE: Final = 200
"""Panels that are looked at before the event loop gets its turn."""
_LOOK_SHARE: Final = 100
"""Looking takes at most one part in so many of the time."""
_MOST_NAMED: Final = 5
"""Refused resources that are named in the log; of the others the number is given."""

T = TypeVar("T")
Wanted = tuple[str, tuple[ValuesMap, ...]]


class ResourceKeeper:
    """Brings what is missing, again and again. It may be ended at any time: what was done shows at the VTN.

    Args:
        panels: gives the panels of the ven.
        concurrent: requests on their way at the same time.
        every_s: seconds of the clock between two looks at the panels for new ones.
        look_every_s: seconds between two looks at the VTN for lost resources, more if a look takes long.
    """

    def __init__(
        self,
        client: VtnClient,
        panels: Callable[[], Iterable[PanelRecord]],
        *,
        health: Health,
        clock: Clock,
        concurrent: int,
        every_s: float,
        look_every_s: float,
    ) -> None:
        self._client = client
        self._panels = panels
        self._health = health
        self._clock = clock
        self._concurrent = concurrent
        self._every_s = every_s
        self._look_every_s = look_every_s
        self._begin()

    def _begin(self) -> None:
        self._there: dict[str, int] = {}
        """By name, what the attributes of a resource at the VTN come to."""
        self._written: dict[str, int] = {}
        """The same as we wrote them: a VTN that stores them otherwise is not told again."""
        self._complete: dict[str, int] = {}
        """By panel, what its facts came to when nothing of it was missing."""
        self._given_up: set[str] = set()
        self._forbidden = False
        self._look_at: datetime | None = None

    @property
    def registered(self) -> int:
        """Return the number of resources that the VTN is known to have."""
        return len(self._there)

    async def run(self, ven_id: str) -> None:
        """See to the resources of this ven until cancelled; after a failure with back-off, where it was."""
        self._begin()
        backoff = Backoff(first_s=self._every_s)
        problem: str | None = None
        while True:
            try:
                await self.keep(ven_id)
            except VtnError as error:
                wait_s = backoff.failed(error)
                if str(error) != problem:
                    problem = str(error)
                    _log.warning("resources not registered yet", problem=problem, retry_in_s=round(wait_s, 1))
            else:
                backoff.succeeded()
                problem, wait_s = None, self._every_s
            await self._clock.sleep(wait_s)

    async def keep(self, ven_id: str) -> None:
        """Bring what this ven lacks now; raises VtnError, and goes on where it was when it is called again."""
        try:
            await self._look_if_due(ven_id)
            await self._bring_missing(ven_id)
        except BaseException:
            self._look_at = None  # whatever was on its way may have arrived
            raise

    async def _look_if_due(self, ven_id: str) -> None:
        """Read now and then which resources the VTN has, since somebody may have deleted some."""
        if self._look_at is not None and self._clock.now() < self._look_at:
            return
        began = self._clock.now()
        there: dict[str, int] = {}
        async for page in self._client.resources.walk(ven_id=ven_id):
            there |= {each.resource_name: _digest(each.attributes or ()) for each in page}
        if lost := [name for name in self._there if name not in there]:
            _log.warning("the VTN does not have resources any more", ven_id=ven_id, count=len(lost), first=lost[0])
        self._there = there
        self._complete.clear()
        self._given_up.clear()
        self._forbidden = False
        took = self._clock.now() - began
        self._look_at = self._clock.now() + max(timedelta(seconds=self._look_every_s), took * _LOOK_SHARE)

    async def _bring_missing(self, ven_id: str) -> None:
        began, brought, refused = time.monotonic(), 0, 0

        async def bring(wanted: Wanted) -> None:
            nonlocal brought, refused
            name, attributes = wanted
            if self._forbidden:
                return
            try:
                await self._bring(ven_id, name, attributes)
                brought += 1
            except Forbidden as error:
                if not self._forbidden:
                    self._forbidden = True
                    self._set_aside("resources", f"the VTN does not let us write them (403): {error}")
            except Refused as error:
                refused += 1
                self._given_up.add(name)
                if refused <= _MOST_NAMED:
                    self._set_aside(f"resource {name}", str(error))

        panels = list(self._panels())
        for start in range(0, len(panels), _PIECE):
            missing = [each for panel in panels[start : start + _PIECE] for each in self._missing(panel)]
            await for_each(missing, bring, at_once=self._concurrent)
            await asyncio.sleep(0)
        if brought > _MOST_NAMED or refused > _MOST_NAMED:
            took_s = round(time.monotonic() - began, 1)
            _log.info("resources registered", ven_id=ven_id, count=brought, refused=refused, took_s=took_s)

    def _missing(self, panel: PanelRecord) -> Iterator[Wanted]:
        """Yield the resources of a panel that the VTN does not have as wanted."""
        loads = tuple((load.id, load.name, load.type, load.capacity_kw, load.priority) for load in panel.loads)
        facts = hash((panel.name, loads))
        if self._complete.get(panel.ven_id) == facts:
            return
        found = False
        for name, attributes in wanted_resources(panel).items():
            digest = _digest(attributes)
            is_there = name in self._there and digest in {self._there[name], self._written.get(name)}
            if not is_there and name not in self._given_up and not self._forbidden:
                found = True
                yield name, attributes
        if not found:
            self._complete[panel.ven_id] = facts

    async def _bring(self, ven_id: str, name: str, attributes: tuple[ValuesMap, ...]) -> None:
        known = None
        if name in self._there:
            same = await self._client.resources.search(ven_id=ven_id, resource_name=name)
            known = next((each for each in same if each.resource_name == name), None)
        await register_resource(self._client, ven_id, name, attributes=attributes, known=known)
        self._there[name] = self._written[name] = _digest(attributes)
        self._health.put_back(f"resource {name}")

    def _set_aside(self, what: str, reason: str) -> None:
        if self._health.set_aside(what, reason):
            _log.warning("not registered", what=what, problem=reason)


def _digest(attributes: Sequence[ValuesMap]) -> int:
    """Return a number that is the same for the same attributes of ours, in any order."""
    return hash(frozenset((each.type, tuple(each.values)) for each in attributes if each.type in OUR_ATTRIBUTES))


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do the work for every item, for so many at a time; the first error ends it and is raised."""
    left = iter(items)

    async def take_turns() -> None:
        for item in left:
            await work(item)

    tasks = [asyncio.create_task(take_turns()) for _ in range(at_once)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error
