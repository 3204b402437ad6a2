"""Rows of the fleet: what is asked of it, and what a VEN or a panel is shown with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from openadr_profiles.contact import RefusedRequest
from openadr_profiles.fleet.problems import Condition20b, VenCondition, VenProblem, problems
from vtn.store.facts.instants import known_from_ms
from vtn.store.facts.results import rounded

ANY_PROBLEM: Final = "any"
PANEL: Final = "panel"
LANGUAGES: Final = {"3.1": "OpenADR 3.1", "3.0.1": "OpenADR 3.0.1", "2.0b": "OpenADR 2.0b", PANEL: "panel"}
"""Languages by the words of the filter. A VEN of OpenADR 3 that was never heard of has none yet."""


class FleetOrder(StrEnum):
    """Orders of the list."""

    NAME = "name"
    NAME_DOWN = "-name"
    SILENT = "silent"
    HEARD = "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetQuery:
    """Hold what is asked of the fleet: all that is given applies. ``problem`` is a kind of problem or ``ANY_PROBLEM``.

    ``search`` is a part of the name or of the client's id, or the beginning of the ven's; ``ven_ids`` are these vens
    alone, with their panels. ``own_tokens`` says that VENs of OpenADR 3 need a client here, and ``offline_after`` how
    long a VEN of 2.0b may be silent.
    """

    search: str = ""
    group: str = ""
    language: str = ""
    problem: str = ""
    ven_ids: tuple[str, ...] | None = None
    order: FleetOrder = FleetOrder.NAME
    skip: int = 0
    limit: int = 50
    own_tokens: bool = True
    offline_after: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """A VEN, or a panel behind a bridge. What is not known is None.

    ``name`` is that of the panel if there is one, and ``bridge`` then that of the VEN it is behind. ``told_at`` is when
    a webhook of it took a notification last, ``broker_at`` when it got its last token for the broker. ``power_kw`` is
    what it drew by the readings of the last hour, of which the oldest ended at ``read_at``.
    """

    ven_id: str
    name: str
    client_id: str
    targets: tuple[str, ...]
    panel: str | None
    bridge: str | None
    language: str | None
    heard_at: datetime | None
    told_at: datetime | None
    broker_at: datetime | None
    software: str | None
    circuits: int
    power_kw: float | None
    read_at: datetime | None
    sheddable_kw: float | None
    """Hold what is known of it; None if no resource says anything, or those that do can shed nothing."""
    saying: int
    """Hold how many of its circuits say what they can shed."""
    created_at: datetime
    state: VenCondition

    def problems(self, now: datetime) -> list[VenProblem]:
        """Return what is wrong with it; those of a bridge are not repeated for its panels."""
        return [] if self.panel is not None else problems(self.state, now=now)


@dataclass(frozen=True, slots=True)
class FleetPage:
    """A page of the list, and how many rows there are in all."""

    rows: tuple[FleetRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """Hold how many VENs there are, and how many of them were heard of in the last hour."""

    vens: int
    heard: int


def row_of(row: Mapping[Any, Any], *, silent_since: str, own_tokens: bool) -> FleetRow:
    """Return a row of the list from one of its statement."""
    is_20b, is_panel = row["is_20b"] is not None, row["panel"] is not None
    return FleetRow(
        ven_id=row["ven_id"],
        name=row["name"],
        client_id=row["client_id"],
        targets=tuple(row["targets"]),
        panel=row["panel"],
        bridge=row["ven_name"] if is_panel else None,
        language=LANGUAGES[PANEL] if is_panel else LANGUAGES["2.0b"] if is_20b else row["protocol"] or None,
        heard_at=instant(row["heard_at"]),
        told_at=instant(row["told_at"]),
        broker_at=instant(row["broker_at"]),
        software=row["software"] or row["own_name"],
        circuits=row["circuits"],
        power_kw=rounded(row["power_kw"]),
        read_at=known_from_ms(row["read_at_ms"]),
        sheddable_kw=_sheddable_kw(row),
        saying=row["saying"],
        created_at=datetime.fromisoformat(row["created_at"]),
        state=_state(row, silent_since, own_tokens),
    )


def _sheddable_kw(row: Mapping[Any, Any]) -> float | None:
    """Return what is known that a row can shed in kW; of nothing but critical circuits and silent ones nothing is."""
    kw: float | None = rounded(row["sheddable_kw"])
    return None if kw == 0 and row["saying"] < row["circuits"] else kw


def instant(stamp: str | None) -> datetime | None:
    """Return the instant of a stamp."""
    return None if stamp is None else datetime.fromisoformat(stamp)


def _state(row: Mapping[Any, Any], silent_since: str, own_tokens: bool) -> VenCondition:
    is_20b = row["is_20b"] is not None
    return VenCondition(
        seen=instant(row["heard_at"]),
        reported=instant(row["reported_at"]),
        refused=_refused(row),
        resources=row["circuits"],
        holds_target=bool(row["targets"]) or bool(row["resources_hold"]),
        of_20b=_state_20b(row, silent_since) if is_20b else None,
        suspended=bool(row["suspended"]),
        has_credentials=is_20b or not own_tokens or row["suspended"] is not None,
        clock_offset_s=row["clock_offset_s"],
        failing_endpoints=row["failing"],
    )


def _state_20b(row: Mapping[Any, Any], silent_since: str) -> Condition20b:
    heard_at = max(row["heard_at"] or "", row["registered_at"] or "")
    return Condition20b(
        disabled=row["is_disabled"],
        registered=row["registration_id"] is not None,
        offline=row["registration_id"] is not None and row["push_url"] is None and heard_at < silent_since,
        overdue=row["overdue"],
        cancel_refused_at=instant(row["cancel_refused_at"]),
    )


def _refused(row: Mapping[Any, Any]) -> RefusedRequest | None:
    at = instant(row["refused_at"])
    if at is None:
        return None
    said = row["refused_status"], row["refused_title"], row["refused_request"]
    return RefusedRequest(at=at, status=said[0], title=said[1], request=said[2])
