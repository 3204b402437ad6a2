"""Tell open pages what has changed, by topic; looked up once for all of them, and only while there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from ven.control import Control
from ven.desk import OwnerDesk

_MOST_EVENTS: Final = 50

Stamps = Mapping[str, Any]
"""Hold what stands for the state of each topic: it differs if the topic has changed."""


class PageChanges:
    """Hold what the topics were when they were looked up last."""

    def __init__(self, control: Control, desk: OwnerDesk) -> None:
        self._control = control
        self._desk = desk
        self._told = asyncio.Event()
        self._turn = 0
        self._known: tuple[int, Stamps] | None = None

    def tell(self) -> None:
        """Have it looked up again: something may have happened. Does nothing else."""
        self._turn += 1
        self._told.set()
        self._told = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Return what is set when something may have happened next; take it before looking at the topics."""
        return self._told

    def now(self) -> Stamps:
        """Return what stands for the state of each topic now."""
        if self._known is None or self._known[0] != self._turn:
            self._known = (self._turn, self._looked_up())
        return self._known[1]

    def _looked_up(self) -> Stamps:
        control, panel = self._control, self._control.panel
        plans = control.curtailer.plans()
        return {
            "power": None if panel.last is None else panel.last.at,
            "minute": None if panel.last is None else panel.last.at.replace(second=0, microsecond=0),
            "events": (
                [
                    (received.event.id, received.event.modification_date_time, decision)
                    for received, _, decision in islice(control.agenda.events(), _MOST_EVENTS)
                ],
                {id_: plan.requested_kw for id_, plan in plans.items()},
                control.agenda.choices,
            ),
            "circuits": (dict(panel.limits), set(panel.overrides), dict(panel.left_alone)),
            "problems": self._desk.problems,
        }
