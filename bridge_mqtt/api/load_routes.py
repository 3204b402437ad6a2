"""Circuits to switch, and the commands that do it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aiohttp import web
from msgspec import Struct

from bridge_mqtt.api.answers import answer, found
from bridge_mqtt.api.bodies import Kw, body_of, power_kw
from bridge_mqtt.api.refusals import NoSuchThing, NotNow
from bridge_mqtt.api.route import ApiRoute, Right
from bridge_mqtt.load_orders import LoadOrders, NotSwitchable
from bridge_mqtt.view import View
from bridge_mqtt.view.records import command_record
from bridge_mqtt.view.shapes import LoadAnswer


class LoadChange(Struct, frozen=True, kw_only=True):
    """Hold what a circuit should be: on or off."""

    enabled: bool


class LoadShed(Struct, frozen=True, kw_only=True, rename="camel"):
    """So many kW to shed of one circuit. Panels can only switch it off as a whole, so less is refused."""

    amount_kw: Kw


class LoadRoutes:
    """Takes orders for circuits."""

    def __init__(self, view: View, orders: LoadOrders) -> None:
        self._view = view
        self._orders = orders

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes."""
        one = "/api/vens/{venId}/loads/{loadId}"
        return (
            ApiRoute(
                method="PATCH",
                path=one,
                handle=self._change,
                summary="Switch a circuit on or off; 202 with the command",
                tag="vens",
                right=Right.WRITE,
                body=LoadChange,
                status=202,
                refusals=(400, 404, 408, 409, 413, 415),
            ),
            ApiRoute(
                method="POST",
                path=f"{one}/commands/shed",
                handle=self._shed,
                summary="Shed a circuit by switching it off; 202 with the command",
                tag="vens",
                right=Right.WRITE,
                body=LoadShed,
                status=202,
                refusals=(400, 404, 408, 409, 413, 415),
            ),
            ApiRoute(
                method="GET",
                path="/api/commands/{correlationId}",
                handle=self._command,
                summary="One command: whether it was sent, and answered by the panel or shown by its metering",
                tag="panels",
                refusals=(404,),
            ),
        )

    async def _change(self, request: web.Request) -> web.Response:
        load = self._load(request)
        body = await body_of(request, LoadChange)
        return await self._switched(request, load, enabled=body.enabled)

    async def _shed(self, request: web.Request) -> web.Response:
        load = self._load(request)
        amount_kw = power_kw("amountKw", (await body_of(request, LoadShed)).amount_kw)
        drawn_kw = Decimal(str(load.current_power_kw or 0))
        if drawn_kw <= 0:
            raise NotNow(f"circuit {load.id[:80]!r} draws nothing that could be shed")
        if amount_kw < drawn_kw:
            raise NotNow(
                f"amountKw: circuit {load.id[:80]!r} draws {drawn_kw} kW and can only be switched off as a whole: "
                "ask for at least that, or use send-event, for which the panel picks circuits"
            )
        return await self._switched(request, load, enabled=False)

    async def _switched(self, request: web.Request, load: LoadAnswer, *, enabled: bool) -> web.Response:
        ven_id = request.match_info["venId"]
        try:
            command = await self._orders.switch(ven_id, load.id, enabled=enabled)
        except NotSwitchable as error:
            raise NotNow(str(error)) from error
        members: dict[str, Any] = command_record(command) | {"status": "accepted"}
        return answer(members, status=202, headers={"Location": f"/api/commands/{command.correlation_id}"})

    async def _command(self, request: web.Request) -> web.Response:
        id_ = request.match_info["correlationId"]
        return found(await self._view.records.command(id_), f"no command {id_[:255]!r}")

    def _load(self, request: web.Request) -> LoadAnswer:
        ven_id, load_id = request.match_info["venId"], request.match_info["loadId"]
        if not self._view.panels.knows(ven_id):
            raise NoSuchThing(f"no panel {ven_id[:255]!r}")
        load = next((each for each in self._view.panels.loads(ven_id) if each.id == load_id), None)
        if load is None:
            raise NoSuchThing(f"panel {ven_id[:80]!r} has no circuit {load_id[:80]!r}")
        return load
