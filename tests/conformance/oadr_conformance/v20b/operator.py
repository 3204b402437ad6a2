"""Do what only an operator can (make an event, change it, cancel it), by the OpenADR 3.1 API of the same VTN."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from multidict import CIMultiDict

from oadr_conformance import bodies
from oadr_conformance.errors import Mismatch, Refused, SeedFailed, Unreachable
from oadr_conformance.moments import from_now
from oadr_conformance.wire import HttpExchange, Obj, Purpose, VtnAnswer

if TYPE_CHECKING:
    from oadr_conformance.v20b.probe import Probe20b

_FORM = "application/x-www-form-urlencoded"


class Operator:
    """Business logic of the VTN; what it makes for a check is deleted after it."""

    def __init__(self, probe: Probe20b) -> None:
        self._probe = probe
        self._made: list[str] = []

    async def program(self, **members: Any) -> Obj:
        """Return a program of our own."""
        return await self._make("/programs", bodies.program(self._probe.session.name("program"), **members))

    async def event(self, *values: float, program: Obj | None = None, seconds: int = 3600, **members: Any) -> Obj:
        """Return an event with a SIMPLE value for each stretch of `seconds`; it begins in two hours unless told."""
        program = program or await self.program()
        intervals = [bodies.interval(number, value, "SIMPLE") for number, value in enumerate(values or (1,))]
        period = {"start": from_now(hours=2), "duration": f"PT{seconds}S"}
        return await self._make(
            "/events", {"programID": program["id"], "intervalPeriod": period, "intervals": intervals, **members}
        )

    async def change(self, event: Obj, **members: Any) -> Obj:
        """Return the event after a change."""
        body = {name: value for name, value in event.items() if name not in _METADATA} | members
        return self._seeded(await self._send("PUT", f"/events/{event['id']}", body), "to change an event", 200)

    async def cancel(self, event: Obj) -> None:
        """Delete an event."""
        self._seeded(await self._send("DELETE", f"/events/{event['id']}"), "to delete an event", 200)
        self._made.remove(f"/events/{event['id']}")

    async def reports(self, **query: str) -> list[Obj]:
        """Return the reports that business logic finds."""
        answer = await self._send("GET", f"/reports?{urlencode(query)}")
        return answer.expect(200).array()

    async def clean_up(self) -> list[str]:
        """Delete what was made, newest first; what could not be deleted, in words."""
        left = []
        while self._made:
            path = self._made.pop()
            try:
                answer = await self._send("DELETE", path)
            except (Unreachable, Refused) as error:
                left.append(f"DELETE {path}: {error}")
                continue
            if answer.status not in {200, 404}:
                left.append(f"DELETE {path}: {answer.status}")
        return left

    async def _make(self, path: str, body: Obj) -> Obj:
        made = self._seeded(await self._send("POST", path, body), f"to create {path} for the check", 201)
        self._made.append(f"{path}/{made['id']}")
        return made

    def _seeded(self, answer: VtnAnswer, what: str, status: int) -> Obj:
        try:
            return answer.expect(status).object()
        except Mismatch as mismatch:
            raise SeedFailed(what, mismatch.got, mismatch.exchange) from mismatch

    async def _send(self, method: str, path: str, body: object = None) -> VtnAnswer:
        session = self._probe.session
        headers: CIMultiDict[str] = CIMultiDict({"Authorization": f"Bearer {await self._token()}"})
        if body is not None:
            headers["Content-Type"] = "application/json"
        raw = b"" if body is None else json.dumps(body).encode()
        step = Purpose.CLEANUP if self._probe.step is Purpose.CLEANUP else Purpose.SEED
        exchange = HttpExchange(step, "operator", method, session.api + path, headers, raw)
        self._probe.log.append(exchange)
        return await session.desk.send(exchange)

    async def _token(self) -> str:
        """Return a token of business logic.

        Raises:
            Refused: the VTN gives it none.
        """
        session, credential = self._probe.session, self._probe.session.subject.bl
        if credential is None:
            raise RuntimeError("no business logic was given")
        if credential.token:
            return credential.token
        token, until = session.token
        if until > time.monotonic():
            return token
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.client_id,
            "client_secret": credential.client_secret,
        }
        url = f"{session.api}/auth/token"
        exchange = HttpExchange(
            Purpose.PREPARE, "operator", "POST", url, CIMultiDict({"Content-Type": _FORM}), urlencode(form).encode()
        )
        answer = await session.desk.send(exchange)
        if answer.status != 200:
            raise Refused(f"{url} gives {credential.client_id} no token: {answer.status} {answer.text[:200]}")
        told = answer.object()
        token = str(told["access_token"])
        session.secrets.append(token)
        session.token = token, time.monotonic() + float(told.get("expires_in") or 60) * 0.9 - 1
        return token


_METADATA = frozenset({"id", "createdDateTime", "modificationDateTime", "objectType"})
