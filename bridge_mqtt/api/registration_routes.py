"""Panels to add, change and delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from aiohttp import web
from msgspec import Meta, Struct

from bridge_mqtt.api.answers import answer, found
from bridge_mqtt.api.bodies import body_of
from bridge_mqtt.api.refusals import NoSuchThing, NotNow, WrongQuestion
from bridge_mqtt.api.route import ApiRoute, Right
from bridge_mqtt.registration import NoSuchPanel, NotRegistrable, PanelRegistration
from bridge_mqtt.view import View
from bridge_mqtt.view.shapes import VenAnswer
from openadr_profiles.panel import UnsafePanelId, check_panel_id

_STATES: Final = {"active": True, "disabled": False}

_PRINTABLE: Final = r"^(?![\s\S]*[\x00-\x1f\x7f])"  # PostgreSQL stores no NUL
_TAKEN: Final = frozenset({"summary", ".", ".."})
"""Ids under which a panel could not be asked for: their paths mean something else."""

Text = Annotated[str, Meta(min_length=1, max_length=255, pattern=_PRINTABLE)]
Groups = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=128, pattern=_PRINTABLE)], ...], Meta(max_length=100)
]


class PanelLocation(Struct, frozen=True, kw_only=True):
    """A place in degrees."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]


class NewPanel(Struct, frozen=True, kw_only=True, rename="camel"):
    """A panel to be added. ``id`` is the last level of its topics; without it the bridge gives one."""

    name: Text
    id: Text | None = None
    location: PanelLocation | None = None
    status: str = "active"
    registration_id: Text | None = None
    groups: Groups = ()


class PanelChange(Struct, frozen=True, kw_only=True, rename="camel"):
    """Members of a panel to be changed; those that are not given, or null, stay."""

    name: Text | None = None
    location: PanelLocation | None = None
    status: str | None = None
    registration_id: Text | None = None
    groups: Groups | None = None


class RegistrationRoutes:
    """Takes orders about panels."""

    def __init__(self, view: View, registration: PanelRegistration) -> None:
        self._view = view
        self._registration = registration

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes."""
        one = "/api/vens/{venId}"
        return (
            ApiRoute(
                method="POST",
                path="/api/vens",
                handle=self._add,
                summary="Add a panel",
                tag="vens",
                right=Right.WRITE,
                body=NewPanel,
                answer=VenAnswer,
                status=201,
                refusals=(400, 408, 409, 413, 415),
            ),
            ApiRoute(
                method="PATCH",
                path=one,
                handle=self._change,
                summary="Change a panel that was added here; one that is disabled is restored and not asked any more",
                tag="vens",
                right=Right.WRITE,
                body=PanelChange,
                answer=VenAnswer,
                refusals=(400, 404, 408, 409, 413, 415),
            ),
            ApiRoute(
                method="DELETE",
                path=one,
                handle=self._remove,
                summary="Delete a panel that was added here and holds no event",
                tag="vens",
                right=Right.WRITE,
                status=204,
                refusals=(404, 409),
            ),
        )

    async def _add(self, request: web.Request) -> web.Response:
        body = await body_of(request, NewPanel)
        async with _refused():
            ven_id = await self._registration.add(
                None if body.id is None else _safe(body.id),
                name=body.name,
                location=None if body.location is None else (body.location.lat, body.location.lon),
                enabled=_is_enabled(body.status),
                registration_id=body.registration_id,
                groups=body.groups,
            )
        made = await self._view.panels.ven(ven_id)
        return answer(made, status=201, headers={"Location": f"/api/vens/{ven_id}"})

    async def _change(self, request: web.Request) -> web.Response:
        ven_id = request.match_info["venId"]
        body = await body_of(request, PanelChange)
        members: dict[str, Any] = {
            "name": body.name,
            "location": None if body.location is None else (body.location.lat, body.location.lon),
            "enabled": None if body.status is None else _is_enabled(body.status),
            "registration_id": body.registration_id,
            "groups": body.groups,
        }
        given = {name: value for name, value in members.items() if value is not None}
        if not given:
            raise WrongQuestion("the body: expected at least one of name, location, status, registrationId, groups")
        async with _refused():
            await self._registration.change(ven_id, **given)
        return found(await self._view.panels.ven(ven_id), f"no panel {ven_id[:255]!r}")

    async def _remove(self, request: web.Request) -> web.Response:
        async with _refused():
            await self._registration.remove(request.match_info["venId"])
        return answer(None, status=204)


@asynccontextmanager
async def _refused() -> AsyncIterator[None]:
    try:
        yield
    except NoSuchPanel as error:
        raise NoSuchThing(str(error)[:400]) from error
    except NotRegistrable as error:
        raise NotNow(str(error)) from error


def _safe(ven_id: str) -> str:
    if ven_id in _TAKEN:
        raise WrongQuestion(f"id: {ven_id!r} cannot be the id of a panel, since its path means something else")
    try:
        return check_panel_id(ven_id)
    except UnsafePanelId as error:
        raise WrongQuestion(f"id: {error}") from error


def _is_enabled(status: str) -> bool:
    if status not in _STATES:
        raise WrongQuestion(
            f"status: {status[:40]!r} is none of {', '.join(_STATES)}; whether it is online is for the bridge to say"
        )
    return _STATES[status]
