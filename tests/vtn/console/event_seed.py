"""An event with participants that answered, shed, were silent or stayed out, as reports would have left it.

Many rows at once: the tables that are made of reports are filled directly, so ten thousand take a second or two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert

from tests.vtn.harness import VtnUnderTest, unique
from vtn.store.database import Database
from vtn.store.facts.tables import event_curve, event_opts, event_sheds
from vtn.store.stamps import stamp
from vtn.store.tables import contacts, resources, vens

WILD = "Ünïcode \x1b[31mred\x1b[0m <b>bold</b> \u202egnol " + "very" * 20


@dataclass
class Fleet:
    """Rows of vens, and of what they said about events."""

    vtn: VtnUnderTest
    rows: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """The database of the server."""
        return self.vtn.server._database

    def add(self, table: Table, **row: Any) -> None:
        """Note a row."""
        self.rows.setdefault(table, []).append(row)

    async def store(self) -> None:
        """Store all rows."""
        async with self.database.write() as connection:
            for table in (vens, resources, contacts, event_opts, event_sheds, event_curve):
                if rows := self.rows.pop(table, []):
                    await connection.execute(insert(table), rows)

    def ven(self, number: int, *, name: str | None = None, heard_at: datetime | None = None) -> str:
        """A ven with the target ``fleet``; returns its client id."""
        at, client_id = stamp(self.vtn.now()), f"client-{number:05}"
        name = name or f"home-{number:05}"
        self.add(
            vens,
            id=f"ven-{number:05}",
            created_at=at,
            modified_at=at,
            client_id=client_id,
            name=name,
            targets=("fleet",),
            target_records=None,
            named_by_bl=True,
            members=f'"clientID":"{client_id}"',
        )
        if heard_at is not None:
            self.add(
                contacts,
                client_id=client_id,
                protocol="OpenADR 3.1",
                heard_at=stamp(heard_at),
                refused_at=None,
                refused_status=None,
                refused_title=None,
                refused_request=None,
            )
        return client_id

    def opt(
        self,
        event_id: str,
        client_id: str,
        *,
        resource: str = "AGGREGATED_REPORT",
        opted_in: bool = True,
        reason: str | None = None,
        is_participant: bool = True,
    ) -> None:
        """Return what a ven, a panel or a circuit said about taking part."""
        self.add(
            event_opts,
            event_id=event_id,
            client_id=client_id,
            resource=resource,
            opted_in=opted_in,
            reason=reason,
            state="NORMAL",
            decided_at_ms=None,
            is_participant=is_participant,
            source_id=1,
        )

    def shed(
        self,
        event_id: str,
        client_id: str,
        start: datetime,
        end: datetime,
        *,
        resource: str = "AGGREGATED_REPORT",
        kw: Sequence[float | None] = (3, 5, 2.2, 2.8, None),
        state: str | None = "x-curtailed",
        is_total: bool = True,
    ) -> None:
        """Return what was requested, drawn before and during, delivered, and drawn after, in kW."""
        requested, baseline, demand, delivered, final = kw
        self.add(
            event_sheds,
            event_id=event_id,
            client_id=client_id,
            resource=resource,
            starts_at_ms=_ms(start),
            interval_id=0,
            ends_at_ms=_ms(end),
            requested_kw=requested,
            baseline_kw=baseline,
            demand_kw=demand,
            delivered_kw=delivered,
            gross_kw=delivered,
            final_kw=final,
            state=state,
            is_total=is_total,
            source_id=1,
        )

    def curve(self, event_id: str, start: datetime, points: int, participants: int) -> None:
        """Sums every ten seconds from a start, with five minutes missing in the middle."""
        for number in range(points):
            if points // 2 <= number < points // 2 + 30:
                continue
            ramp = min(1.0, number / 20)
            self.add(
                event_curve,
                event_id=event_id,
                at_ms=_ms(start + timedelta(seconds=10 * number)),
                requested_kw=3.0 * participants,
                baseline_kw=5.0 * participants + (number % 7),
                delivered_kw=2.8 * participants * ramp,
                reporting=participants,
                taking_part=participants,
            )


def _ms(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)


def shedding(kw: float, start: datetime, length: str = "PT1H", **members: Any) -> dict[str, Any]:
    """The members of an event that asks for so many kW less."""
    return {
        "targets": ["fleet"],
        "intervalPeriod": {"start": stamp(start), "duration": length},
        "intervals": [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-kw]}]}],
        "payloadDescriptors": [{"payloadType": "DISPATCH_SETPOINT_RELATIVE", "units": "KW"}],
        **members,
    }


async def active_event(vtn: VtnUnderTest, many: int = 8, **members: Any) -> tuple[Any, Fleet]:
    """An event that began 30 minutes ago, for vens of every kind: the first eight differ, the others deliver.

    home-00000 delivers with circuits, 1 is out with a reason, 2 was never heard of, 3 was not heard of since, 4 was
    heard and is silent, 5 takes part and does not report, 6 reports nothing shed, and 7 is a bridge with two panels.
    """
    now = vtn.now()
    program = await vtn.bl.program(programName=unique("winter"))
    start, end = now - timedelta(minutes=30), now + timedelta(minutes=30)
    event = await vtn.bl.event(program, **shedding(3, start, eventName="evening peak") | members)
    its, fleet = event["id"], Fleet(vtn)
    vtn.now.pass_(minutes=1)
    heard = vtn.now()
    delivers = fleet.ven(0, heard_at=heard)
    fleet.opt(its, delivers, reason=None)
    fleet.shed(its, delivers, start, end)
    for name, kw, state in (
        ("boiler", (2, 2.5, 0.2, 2.3, None), "x-curtailed"),
        ("fridge", (0, 0.2, 0.2, 0, None), "NORMAL"),
        ("heat pump", (1, 2.3, 1.8, 0.5, 2.2), "x-restored"),
        ("garage", (0, 0, 0, 0, None), "NORMAL"),
    ):
        fleet.shed(its, delivers, start, end, resource=name, kw=kw, state=state, is_total=False)
    fleet.opt(its, delivers, resource="garage", opted_in=False, reason="switched by hand", is_participant=False)
    fleet.add(
        resources,
        id="resource-fridge",
        created_at=stamp(now),
        modified_at=stamp(now),
        ven_id="ven-00000",
        client_id=delivers,
        name="fridge",
        targets=(),
        target_records=None,
        named_by_bl=None,
        members='"resourceName":"fridge","attributes":[{"type":"CRITICAL","values":[true]}]',
    )
    fleet.opt(its, fleet.ven(1, heard_at=heard), opted_in=False, reason="the baby sleeps")
    fleet.ven(2)
    fleet.ven(3, heard_at=now - timedelta(hours=5))
    fleet.ven(4, heard_at=heard)
    fleet.opt(its, fleet.ven(5, heard_at=heard))
    nothing = fleet.ven(6, heard_at=heard)
    fleet.opt(its, nothing, reason="nothing here acts on PRICE")
    fleet.shed(its, nothing, start, end, kw=(3, 1, 1, 0, None))
    bridge = fleet.ven(7, name="bridge", heard_at=heard)
    for panel, delivered in (("panel-a", 2.0), ("panel-b", 0.9)):
        fleet.opt(its, bridge, resource=panel)
        fleet.shed(its, bridge, start, end, resource=panel, kw=(2, 4, 4 - delivered, delivered, None))
        fleet.shed(
            its, bridge, start, end, resource=f"{panel}/1", kw=(2, 4, 4 - delivered, delivered, None), is_total=False
        )
    for number in range(8, many):
        client_id = fleet.ven(number, heard_at=heard)
        fleet.opt(its, client_id)
        fleet.shed(its, client_id, start, end)
    fleet.curve(its, start, 180, max(many - 6, 2))
    await fleet.store()
    return event, fleet
