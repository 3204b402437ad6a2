"""Fleets as rows of the database: thousands of VENs at once, and single ones with all that can be wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert

from openadr_profiles.v31 import encode
from tests.vtn.harness import START, VtnUnderTest
from vtn.store import tables
from vtn.store.stamps import stamp
from vtn.store.v20b.tables import oadr20b_vens

PROTOCOLS = ("OpenADR 3.1", "OpenADR 3.0.1")


def members(names: Mapping[str, str], attributes: Mapping[str, Any]) -> str:
    """The members of a ven or resource with these attributes."""
    listed = [{"type": name, "values": [value]} for name, value in attributes.items()]
    return encode({**names, **({"attributes": listed} if listed else {})}).decode()[1:-1]


def ven(name: str, *, targets: Iterable[str] = (), at: datetime = START, **attributes: Any) -> dict[str, Any]:
    """A row of ``vens``; its id and client id are its name."""
    return {
        "id": name,
        "created_at": stamp(at),
        "modified_at": stamp(at),
        "client_id": name,
        "name": name,
        "targets": tuple(targets),
        "members": members({"clientID": name, "venName": name}, attributes),
    }


def resource(ven_id: str, name: str, *, targets: Iterable[str] = (), **attributes: Any) -> dict[str, Any]:
    """A row of ``resources`` of a ven."""
    return {
        "id": f"{ven_id}-{name}".replace("/", "_"),
        "created_at": stamp(START),
        "modified_at": stamp(START),
        "ven_id": ven_id,
        "client_id": ven_id,
        "name": name,
        "targets": tuple(targets),
        "members": members({"clientID": ven_id, "venID": ven_id, "resourceName": name}, attributes),
    }


def client(client_id: str, *, suspended: bool = False) -> dict[str, Any]:
    """A row of ``clients``: a VEN with credentials that nobody knows."""
    return {
        "client_id": client_id,
        "role": "VEN",
        "scopes": "read_targets",
        "secret_hash": "none",
        "created_at": stamp(START),
        "suspended": suspended,
    }


def contact(client_id: str, *, heard: datetime | None = START, protocol: str = PROTOCOLS[0], **more: Any) -> Any:
    """A row of ``contacts``."""
    nothing = dict.fromkeys(
        ("refused_at", "refused_status", "refused_title", "refused_request", "software", "clock_offset_s")
    )
    heard_at = None if heard is None else stamp(heard)
    return {"client_id": client_id, "protocol": protocol, "heard_at": heard_at, **nothing, **more}


def ven_20b(ven_id: str, **more: Any) -> dict[str, Any]:
    """A row of ``oadr20b_vens``: registered, polling, quiet."""
    return {
        "ven_id": ven_id,
        "wire_id": f"wire-{ven_id}",
        "registration_id": f"registration-{ven_id}",
        "registered_at": stamp(START),
        "push_url": None,
        "is_report_only": False,
        "signs": False,
        "is_disabled": False,
        "cancel_refused_at": None,
        "ven_name": None,
        **more,
    }


async def put(vtn: VtnUnderTest, rows: Iterable[tuple[Table, list[dict[str, Any]]]]) -> None:
    """Insert rows, a thousand at a time: each statement has to be done in the time that the database has."""
    async with vtn.server._database.write() as connection:
        for table, these in rows:
            for start in range(0, len(these), 1000):
                await connection.execute(insert(table), these[start : start + 1000])


async def many(vtn: VtnUnderTest, count: int = 10_000, *, circuits: int = 4, panels: int = 40) -> None:
    """A fleet of this many VENs of all languages, one of them a bridge with panels; each tenth was never heard of."""
    names = [f"home-{number:05}" for number in range(count - 1)]
    with_20b = set(names[::20])
    heard = [name for number, name in enumerate(names) if number % 10]
    await put(
        vtn,
        [
            (
                tables.vens,
                [
                    ven("bridge", targets=["group:panels"]),
                    *(ven(name, targets=[f"group:{number % 12}"]) for number, name in enumerate(names)),
                ],
            ),
            (
                tables.resources,
                [
                    *(
                        resource(name, f"circuit-{number}", MAX_POWER_CONSUMPTION=2.5, SHED_SHARE=0.8)
                        for name in names
                        for number in range(circuits)
                    ),
                    *(resource("bridge", f"panel-{number:03}") for number in range(panels)),
                    *(
                        resource("bridge", f"panel-{number:03}/load-{load}", MAX_POWER_CONSUMPTION=1, CRITICAL=not load)
                        for number in range(panels)
                        for load in range(3)
                    ),
                ],
            ),
            (tables.clients, [client(name) for name in ("bridge", *(each for each in names if each not in with_20b))]),
            (oadr20b_vens, [ven_20b(name) for name in sorted(with_20b)]),
            (
                tables.contacts,
                [
                    contact(
                        name,
                        heard=vtn.now.at - timedelta(minutes=number % 90),
                        protocol="OpenADR 2.0b" if name in with_20b else PROTOCOLS[number % 2],
                        software="openadr-fleet/1.0",
                    )
                    for number, name in enumerate(["bridge", *heard])
                ],
            ),
        ],
    )
