"""Put a large fleet into a database by a few statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from vtn.store.database import Database
from vtn.store.tables import contacts, resources, vens


async def large_fleet(database: Database, *, at: str, count: int, circuits: int = 3) -> None:
    """Store vens of ten groups, ``group:0`` to ``group:9``, with resources that can shed 2 kW each.

    Every tenth was never heard of.
    """
    metadata = {"created_at": at, "modified_at": at}
    its_vens: list[dict[str, Any]] = []
    its_resources: list[dict[str, Any]] = []
    heard: list[dict[str, Any]] = []
    for number in range(count):
        ven_id, client_id, name = f"v{number:05}", f"home-{number:05}", f"house {number:05}"
        members = f'"clientID":"{client_id}","venName":"{name}"'
        targets = (f"group:{number % 10}",)
        its_vens.append(
            {"id": ven_id, "client_id": client_id, "name": name, "targets": targets, "members": members} | metadata
        )
        if number % 10:
            heard.append({"client_id": client_id, "protocol": "OpenADR 3.1", "heard_at": at})
        for circuit in range(circuits):
            said = f'"clientID":"{client_id}","venID":"{ven_id}","resourceName":"c{circuit}","attributes":[]'
            its_resources.append(
                {"id": f"{ven_id}-{circuit}", "ven_id": ven_id, "client_id": client_id, "name": f"c{circuit}"}
                | {"targets": (f"circuit:{circuit}",), "members": said, "shed_w": 2000}
                | metadata
            )
    async with database.write() as connection:
        await connection.execute(insert(vens), its_vens)
        await connection.execute(insert(resources), its_resources)
        await connection.execute(insert(contacts), heard)
