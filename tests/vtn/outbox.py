"""Read in tests what a VTN has recorded for those who want to hear of changes."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import insert

from openadr_profiles.v31 import ObjectType
from tests.vtn.harness import Session, VtnUnderTest
from vtn.api.v31.render import Renderer, SubscriptionRenderer
from vtn.notify.content import Content
from vtn.store.outbox.pending import delivery_of, select_deliveries
from vtn.store.outbox.rows import Delivery, Push
from vtn.store.tables import deliveries, endpoints

_RENDERERS = {
    str(kind): (SubscriptionRenderer if kind == ObjectType.SUBSCRIPTION else Renderer)(kind).one for kind in ObjectType
}
LAB = {"verify_echo": False, "require_https": False, "allow_private_addresses": True}
"""Settings of webhooks for subscriptions whose receivers are not there."""


class Recorded:
    """Reads the deliveries that were recorded since it was asked last, delivered or not."""

    def __init__(self, vtn: VtnUnderTest) -> None:
        self._vtn = vtn
        self._after = 0

    async def new(self) -> list[Delivery]:
        """Return them, in order."""
        chosen = select_deliveries().where(deliveries.c.id > self._after)
        found = [delivery_of(row) for row in await self._vtn.server._database.rows(chosen)]
        if found:
            self._after = found[-1].id
        return found


async def with_mqtt(vtn: VtnUnderTest) -> None:
    """Have the changes recorded for a broker, too."""
    row = {"id": "mqtt", "push": str(Push.MQTT), "sees_everything": True, "targets": (), "failures": 0}
    async with vtn.server._database.write() as connection:
        await connection.execute(insert(endpoints).values(row))


async def subscribe(
    client: Session,
    *,
    objects: list[str],
    operations: tuple[str, ...] = ("CREATE", "UPDATE", "DELETE"),
    url: str = "https://127.0.0.1:1/hook",
    **members: Any,
) -> str:
    """Subscribe and return the id."""
    entry = {"objects": objects, "operations": list(operations), "callbackUrl": url}
    document = {"clientName": "c", "objectOperations": [entry], **members}
    return str((await client.post("/subscriptions", document)).ok(201)["id"])


def message(delivery: Delivery) -> Any:
    """Return the notification that is sent for a delivery."""
    return json.loads(Content(_RENDERERS).of(delivery))
