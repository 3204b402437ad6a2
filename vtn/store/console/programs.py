"""Programs as pages list them: with how many events each has, and which VENs see one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select

from vtn.settings import Privacy
from vtn.store.audience import sees_event
from vtn.store.database import Database
from vtn.store.stamps import Stamps
from vtn.store.tables import events, programs, reports, subscriptions, vens

MOST_WORDS = 500
"""Programs that a form offers to choose from, the newest ones."""


@dataclass(frozen=True, slots=True)
class ProgramWord:
    """A program to choose: its id, name and targets."""

    id: str
    name: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramListed:
    """A program of the list. ``going_on`` counts its events that are not over."""

    id: str
    name: str
    targets: tuple[str, ...]
    created_at: datetime
    events: int
    going_on: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramBelongings:
    """Hold what goes with a program when it is deleted."""

    events: int
    going_on: int
    reports: int
    subscriptions: int


@dataclass(frozen=True, slots=True)
class ProgramAudience:
    """Hold how many vens see a program, and the first of them by name."""

    count: int
    names: tuple[tuple[str, str], ...]


class ProgramListStore:
    """Reads what pages about programs show."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def words(self) -> list[ProgramWord]:
        """Return programs to choose from, by their names."""
        newest = (
            select(programs.c.id, programs.c.name, programs.c.targets)
            .order_by(programs.c.created_at.desc())
            .limit(MOST_WORDS)
        )
        rows = await self._database.rows(newest)
        found = [ProgramWord(row["id"], row["name"], tuple(row["targets"])) for row in rows]
        return sorted(found, key=lambda each: each.name.lower())

    async def page(self, search: str, *, skip: int, limit: int) -> list[ProgramListed]:
        """Return a page of programs by their names; ``search`` is a part of the name."""
        counted = select(func.count()).where(events.c.program_id == programs.c.id)
        statement = select(
            *(programs.c[name] for name in ("id", "name", "targets", "created_at")),
            counted.scalar_subquery().label("events"),
            counted.where(self._not_over()).scalar_subquery().label("going_on"),
        )
        if search:
            statement = statement.where(func.lower(programs.c.name).contains(search.lower(), autoescape=True))
        rows = await self._database.rows(
            statement.order_by(func.lower(programs.c.name), programs.c.id).limit(limit).offset(skip)
        )
        return [_listed(row) for row in rows]

    async def belongings(self, program_id: str) -> ProgramBelongings:
        """Return how much would be deleted with a program."""
        of_events = select(func.count()).where(events.c.program_id == program_id)
        counted: dict[str, Select[Any]] = {
            "events": of_events,
            "going_on": of_events.where(self._not_over()),
            "reports": select(func.count()).select_from(reports.join(events)).where(events.c.program_id == program_id),
            "subscriptions": select(func.count()).where(subscriptions.c.program_id == program_id),
        }
        row = await self._database.row(select(*(each.scalar_subquery().label(name) for name, each in counted.items())))
        return ProgramBelongings(**(row if row is not None else dict.fromkeys(counted, 0)))

    async def audience(
        self, targets: tuple[str, ...], privacy: Privacy, *, names: bool, limit: int = 20
    ) -> ProgramAudience:
        """Return the vens that see a program with these targets, in one statement."""
        sees = sees_event(targets, (), privacy, names=names)
        statement = (
            select(vens.c.id, vens.c.name, func.count().over().label("total"))
            .where(sees)
            .order_by(vens.c.name)
            .limit(limit)
        )
        rows = await self._database.rows(statement)
        return ProgramAudience(rows[0]["total"] if rows else 0, tuple((row["id"], row["name"]) for row in rows))

    def _not_over(self) -> Any:
        return or_(events.c.ends_at.is_(None), events.c.ends_at > self._stamps.now)


def _listed(row: Mapping[Any, Any]) -> ProgramListed:
    return ProgramListed(
        id=row["id"],
        name=row["name"],
        targets=tuple(row["targets"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        events=row["events"],
        going_on=row["going_on"],
    )
