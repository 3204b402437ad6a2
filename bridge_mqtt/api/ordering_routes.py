"""Events to write: made, stopped and deleted at the VTN, whose events the bridge carries out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from aiohttp import web

from bridge_mqtt.api.answers import answer
from bridge_mqtt.api.bodies import EventForPanel, NewEvent, body_of, power_kw, span_for_panel, span_of_event
from bridge_mqtt.api.refusals import Away, NoSuchThing, NotAllowed, NotNow, NotSetUp, VtnFailed
from bridge_mqtt.api.route import ApiRoute, Right
from bridge_mqtt.view import View
from bridge_mqtt.view.shapes import EventAnswer
from bridge_mqtt.vtn_side.issuer import CannotIssue, Issuer, ShedOrder
from openadr_client import Forbidden, NotFound, Refused, TemporarilyUnavailable, Unauthorized, Unreachable, VtnError

_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_NOT_SET_UP = "issuing.client_id: this bridge has no credentials of business logic to write events at the VTN"


class OrderingRoutes:
    """Takes orders of events. ``issuer`` is None if the bridge was given no credentials for it."""

    def __init__(self, view: View, issuer: Issuer | None, now: Callable[[], datetime]) -> None:
        self._view = view
        self._issuer = issuer
        self._now = now

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes."""
        return (
            ApiRoute(
                method="POST",
                path="/api/events",
                handle=self._create,
                summary="Make an event at the VTN, for all panels",
                tag="events",
                right=Right.WRITE,
                body=NewEvent,
                answer=EventAnswer,
                status=201,
                refusals=(400, 403, 409, 413, 415, 501, 502, 503),
            ),
            ApiRoute(
                method="POST",
                path="/api/events/{eventId}/stop",
                handle=self._stop,
                summary="Call an event off at the VTN; panels that hold it are restored",
                tag="events",
                right=Right.WRITE,
                status=202,
                refusals=(403, 404, 409, 501, 502, 503),
            ),
            ApiRoute(
                method="DELETE",
                path="/api/events/{eventId}",
                handle=self._delete,
                summary="Delete an event at the VTN; panels that hold it are restored",
                tag="events",
                right=Right.WRITE,
                status=204,
                refusals=(403, 404, 501, 502, 503),
            ),
            ApiRoute(
                method="POST",
                path="/api/vens/{venId}/send-event",
                handle=self._send_event,
                summary="Make an event at the VTN, for one panel",
                tag="vens",
                right=Right.WRITE,
                body=EventForPanel,
                answer=EventAnswer,
                status=201,
                refusals=(400, 403, 404, 409, 413, 415, 501, 502, 503),
            ),
        )

    async def _create(self, request: web.Request) -> web.Response:
        issuer = self._must_issue()
        body = await body_of(request, NewEvent)
        start, end = span_of_event(body, self._now())
        shed_kw = power_kw("requestedReductionKw", body.requested_reduction_kw)
        order = ShedOrder(shed_kw=shed_kw, start=start, end=end, name=body.name)
        return await self._made(issuer, order)

    async def _send_event(self, request: web.Request) -> web.Response:
        issuer, ven_id = self._must_issue(), request.match_info["venId"]
        if not self._view.panels.knows(ven_id):
            raise NoSuchThing(f"no panel {ven_id[:255]!r}")
        body = await body_of(request, EventForPanel)
        start, end = span_for_panel(body, self._now())
        shed_kw = power_kw("requestedReductionKw", body.requested_reduction_kw)
        order = ShedOrder(shed_kw=shed_kw, start=start, end=end, name=body.name, ven_id=ven_id)
        return await self._made(issuer, order)

    async def _made(self, issuer: Issuer, order: ShedOrder) -> web.Response:
        async with _vtn():
            event = await issuer.create(order)
        made = self._view.events.written(event, float(order.shed_kw))
        return answer(made, status=201, headers={"Location": f"/api/events/{event.id}"})

    async def _stop(self, request: web.Request) -> web.Response:
        issuer, event_id = self._must_issue(), _event_id(request)
        state = await self._view.events.final_state(event_id)
        if state is not None:
            raise NotNow(f"event {event_id[:128]!r} is {state} already")
        async with _vtn():
            await issuer.call_off(event_id)
        return answer({"status": "stopping", "eventId": event_id}, status=202)

    async def _delete(self, request: web.Request) -> web.Response:
        issuer, event_id = self._must_issue(), _event_id(request)
        async with _vtn():
            await issuer.delete(event_id)
        return answer(None, status=204)

    def _must_issue(self) -> Issuer:
        if self._issuer is None:
            raise NotSetUp(_NOT_SET_UP)
        return self._issuer


def _event_id(request: web.Request) -> str:
    """Return the id of the path; raises NoSuchThing if no event can have it: a dot would name another path there."""
    event_id = request.match_info["eventId"]
    if _OBJECT_ID.fullmatch(event_id) is None:
        raise NoSuchThing(f"no event {event_id[:128]!r}: expected 1 to 128 letters, digits, '_' or '-'")
    return event_id


@asynccontextmanager
async def _vtn() -> AsyncIterator[None]:
    """Turn what the VTN answers into a refusal that says whose fault it is, and whether something was done."""
    try:
        yield
    except CannotIssue as error:
        raise NotNow(str(error)) from error
    except NotFound as error:
        raise NoSuchThing(f"the VTN has no such event: {error}") from error
    except Unauthorized as error:
        raise VtnFailed(f"issuing.client_secret: the VTN does not take the credentials: {error}") from error
    except Forbidden as error:
        raise NotAllowed(f"issuing.client_id: the VTN does not allow it to this client: {error}") from error
    except Refused as error:
        raise NotNow(f"the VTN refuses it: {error}") from error
    except Unreachable as error:
        done = "whether it was done is not known; look at the VTN" if error.was_sent else "nothing was done"
        raise Away(f"the VTN cannot be reached ({done}): {error}") from error
    except TemporarilyUnavailable as error:
        raise Away(f"the VTN cannot do it now: {error}") from error
    except VtnError as error:
        raise VtnFailed(f"the VTN gave an unexpected answer; look there before trying again: {error}") from error
