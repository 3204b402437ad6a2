"""A small VTN in memory whose manners differ from ours, as those of other makers' VTNs do; served over HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.support.scripted_vtn import json_list, problem

Document = dict[str, Any]
Before = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

_ANSWERED = {"vens": "VEN", "resources": "RESOURCE", "events": "EVENT", "programs": "PROGRAM", "reports": "REPORT"}
_NAMES = {"vens": "venName", "resources": "resourceName"}
_OPTIONAL = {
    "events": ("eventName", "duration", "priority", "targets", "reportDescriptors", "payloadDescriptors"),
    "programs": ("intervalPeriod", "programDescriptions", "payloadDescriptors", "attributes", "targets"),
    "vens": ("attributes", "targets"),
    "resources": ("attributes", "targets"),
    "reports": ("reportName", "payloadDescriptors"),
}
_FILTERS = ("venID", "resourceName", "venName", "programID", "eventID", "clientName")
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Manners:
    """The ways in which VTNs differ."""

    etags: bool = True
    """Tag lists, and answer 304 to who has them already."""
    strict_types: bool = False
    """Refuse vens, resources and descriptors without the ``objectType`` of the schema, and answer in its words."""
    unique_names: bool = True
    """Refuse a second ven or resource of one name with 409."""
    filters: bool = True
    """Look at the filters in queries; one that does not answers with all there is."""
    problems: bool = True
    """Refuse with a problem document, else with a page of HTML."""
    attributes: bool = True
    """Keep attributes."""
    nulls: bool = False
    """Answer with null for what an object does not have, and without ``objectType``."""


class SmallVtn:
    """Keeps objects by kind and hands out a token to everybody. ``before`` sees each request first and may answer it.

    A client sees what it wrote, all programs, and the events of ``seen_by`` its id, else all.
    """

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.base_url = ""
        self.objects: dict[str, dict[str, Document]] = {kind: {} for kind in _ANSWERED}
        self.requests: list[str] = []
        self.at_once = self.most_at_once = 0
        self.before: Before | None = None
        self.seen_by: dict[str, set[str]] = {}
        self._made = 0

    def put(self, kind: str, **members: Any) -> Document:
        """Store an object; its id may be given, and with that of another one it takes its place."""
        self._made += 1
        now = (_BEGAN + timedelta(seconds=self._made)).isoformat()
        members.setdefault("id", f"{kind}-{self._made}")
        created = self.objects[kind].get(members["id"], {}).get("createdDateTime", now)
        made = {"createdDateTime": created, "modificationDateTime": now} | members
        made.setdefault("objectType", _ANSWERED[kind])
        self.objects[kind][made["id"]] = made
        return made

    def names(self, kind: str, member: str) -> list[Any]:
        """Return a member of all objects of a kind."""
        return [each.get(member) for each in self.objects[kind].values()]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/api/3.1")
        self.requests.append(f"{request.method} {path}")
        if path == "/auth/token":
            client_id = (await request.post())["client_id"]
            return web.json_response({"access_token": client_id, "token_type": "bearer", "expires_in": 3600})
        if self.before is not None and (answer := await self.before(request)) is not None:
            return answer
        kind, _, id_ = path.strip("/").partition("/")
        client_id = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if kind in self.objects and not id_ and request.method == "GET":
            return self._list(request, kind, client_id)
        if kind in self.objects and not id_ and request.method == "POST":
            return self._write(kind, client_id, await request.json(), None)
        found = next((each for each in self._seen(kind, client_id) if each["id"] == id_), None)
        if found is not None and request.method == "PUT":
            return self._write(kind, client_id, await request.json(), id_)
        return self._refuse(404, "no such object") if found is None else json_list(self._shown(kind, found))

    def _seen(self, kind: str, client_id: str) -> list[Document]:
        all_ = list(self.objects.get(kind, {}).values())
        if kind == "events":
            return [each for each in all_ if each["id"] in self.seen_by.get(client_id, self.objects[kind])]
        return all_ if kind == "programs" else [each for each in all_ if each["clientID"] == client_id]

    def _list(self, request: web.Request, kind: str, client_id: str) -> web.StreamResponse:
        query = request.query
        asked = {name: query[name] for name in _FILTERS if name in query} if self.manners.filters else {}
        found = [each for each in self._seen(kind, client_id) if all(each.get(name) == asked[name] for name in asked)]
        skip, limit = int(query.get("skip", 0)), int(query.get("limit", 50))
        answer = json_list([self._shown(kind, each) for each in found[skip : skip + limit]])
        if self.manners.etags:
            tag = f'"{hashlib.sha256(answer.body or b"").hexdigest()}"'  # type: ignore[arg-type]
            if request.headers.get("If-None-Match") == tag:
                return web.Response(status=304)
            answer.headers["ETag"] = tag
        return answer

    def _write(self, kind: str, client_id: str, sent: Document, id_: str | None) -> web.StreamResponse:
        if self.manners.strict_types and (wrong := _wrong_type(kind, sent)):
            return self._refuse(400, wrong)
        name = _NAMES.get(kind)
        others = (each for each in self.objects[kind].values() if each["id"] != id_)
        if (
            name
            and self.manners.unique_names
            and any(each[name] == sent[name] and each.get("venID") == sent.get("venID") for each in others)
        ):
            return self._refuse(409, f"{name} {sent[name]} is taken")
        stored = {name: value for name, value in sent.items() if name != "objectType"} | {"clientID": client_id}
        if not self.manners.attributes:
            stored.pop("attributes", None)
        if self.manners.strict_types and "objectType" in sent:
            stored["objectType"] = sent["objectType"]
        if id_ is not None:
            stored["id"] = id_
        return web.json_response(self._shown(kind, self.put(kind, **stored)), status=201 if id_ is None else 200)

    def _shown(self, kind: str, object_: Document) -> Document:
        if not self.manners.nulls:
            return object_
        shown = {name: value for name, value in object_.items() if name != "objectType"}
        return dict.fromkeys(_OPTIONAL[kind]) | shown

    def _refuse(self, status: int, detail: str) -> web.Response:
        if self.manners.problems:
            return problem(status, detail)
        return web.Response(status=status, text=f"<html>{json.dumps(detail)}</html>", content_type="text/html")


def _wrong_type(kind: str, sent: Document) -> str | None:
    """Return what the schema has against an object's type, None if nothing."""
    wanted = {"vens": "VEN_VEN_REQUEST", "resources": "VEN_RESOURCE_REQUEST"}.get(kind)
    if sent.get("objectType") != wanted:
        return f"objectType: expected {wanted}, not {sent.get('objectType')}"
    for descriptor in sent.get("payloadDescriptors") or ():
        if descriptor.get("objectType") != "REPORT_PAYLOAD_DESCRIPTOR":
            return "payloadDescriptors[].objectType: expected REPORT_PAYLOAD_DESCRIPTOR"
    return None


@asynccontextmanager
async def small_vtn(manners: Manners | None = None) -> AsyncIterator[SmallVtn]:
    """Serve a SmallVtn on a random port."""
    vtn = SmallVtn(manners or Manners())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vtn.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    vtn.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/3.1"
    try:
        yield vtn
    finally:
        await runner.cleanup()
