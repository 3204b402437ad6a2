"""A small VTN in memory that speaks OpenADR 3.0.1 as other makers' VTNs do; served over HTTP.

Written from the document of 3.0.1 alone: it shows everything to everybody, writes each object as a whole, and takes
nothing that the document does not allow. What a test wants to happen elsewhere it does with `put`, `change`, `drop`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.official import official_document
from tests.support.scripted_vtn import json_list, problem

Document = dict[str, Any]

PREFIX = "/openadr3/3.0.1"
_KINDS = {"programs": "PROGRAM", "events": "EVENT", "reports": "REPORT", "subscriptions": "SUBSCRIPTION", "vens": "VEN"}
_UNIQUE = {"programs": "programName", "vens": "venName"}
_FILTERS = ("programID", "eventID", "clientName", "venName", "resourceName")
_WORDS = {"POST": "CREATE", "PUT": "UPDATE", "DELETE": "DELETE"}
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class SmallVtn301:
    """Keeps objects by kind, resources in their ven, and hands out a token to everybody."""

    def __init__(self, *, embeds_resources: bool = True) -> None:
        self.base_url = ""
        self.objects: dict[str, dict[str, Document]] = {kind: {} for kind in _KINDS}
        self.requests: list[str] = []
        self.posted: set[asyncio.Task[None]] = set()
        self.takes_no_subscription_to: set[str] = set()
        """Ids of programs."""
        self.shows_no_programs = False
        self._embeds_resources = embeds_resources
        self._made = 0

    def put(self, kind: str, **members: Any) -> Document:
        """Store an object without telling anybody; resources are put into their ven's ``resources``."""
        self._made += 1
        now = (_BEGAN + timedelta(seconds=self._made)).isoformat().replace("+00:00", "Z")
        members.setdefault("id", f"{kind}-{self._made}")
        created = self.objects[kind].get(members["id"], {}).get("createdDateTime", now)
        made = members | {"createdDateTime": created, "modificationDateTime": now, "objectType": _KINDS[kind]}
        if kind == "vens":
            made.setdefault("resources", [])
        self.objects[kind][made["id"]] = made
        return made

    async def change(self, kind: str, id_: str, **members: Any) -> Document:
        """Change an object and tell who subscribed to it."""
        changed = self.put(kind, **(self.objects[kind][id_] | members))
        self._tell("PUT", changed)
        return changed

    async def drop(self, kind: str, id_: str) -> None:
        """Delete an object and tell who subscribed to it."""
        self._tell("DELETE", self.objects[kind].pop(id_))

    def of(self, kind: str) -> list[Document]:
        """Return the objects of a kind."""
        return list(self.objects[kind].values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(PREFIX)
        target = path + (f"?{request.query_string}" if request.query_string else "")
        self.requests.append(f"{request.method} {target}")
        if path == "/auth/token":
            client_id = (await request.post())["client_id"]
            return web.json_response({"access_token": client_id, "token_type": "Bearer", "expires_in": 3600})
        body = await request.read() or None
        if wrong := official_document("3.0.1").request_problems(request.method, target, body):
            return problem(404 if "no such operation" in wrong[0] else 400, "; ".join(wrong))
        kind, _, rest = path.strip("/").partition("/")
        id_, _, below = rest.partition("/")
        document = None if body is None else json.loads(body)
        if below:
            return self._below(request, self.objects["vens"].get(id_), below.partition("/")[2], document)
        return self._member(request, kind, id_, document) if id_ else self._collection(request, kind, document)

    def _collection(self, request: web.Request, kind: str, document: Any) -> web.StreamResponse:
        if document is None:
            if kind == "programs" and self.shows_no_programs:
                return problem(503, "come again later")
            return self._listed(request, self.of(kind))
        if kind == "subscriptions" and document["programID"] in self.takes_no_subscription_to:
            return problem(403, "no subscription to this one")
        if (name := _UNIQUE.get(kind)) and any(each[name] == document[name] for each in self.of(kind)):
            return problem(409, f"{name} is taken")
        made = self.put(kind, **_sent(document))
        self._tell("POST", made)
        return web.json_response(self._shown(made), status=201)

    def _member(self, request: web.Request, kind: str, id_: str, document: Any) -> web.StreamResponse:
        found = self.objects[kind].get(id_)
        if found is None:
            return problem(404, "no such object")
        if request.method == "PUT":
            found = self.put(
                kind, **_sent(document), id=id_, **({"resources": found["resources"]} if kind == "vens" else {})
            )
            self._tell("PUT", found)
        elif request.method == "DELETE":
            del self.objects[kind][id_]
            self._tell("DELETE", found)
        return json_list(self._shown(found))

    def _below(self, request: web.Request, ven: Document | None, id_: str, sent: Any) -> web.StreamResponse:
        if ven is None:
            return problem(404, "no such ven")
        there = next((each for each in ven["resources"] if each["id"] == id_), None)
        if id_ and there is None:
            return problem(404, "no such resource")
        if request.method == "GET":
            return self._listed(request, ven["resources"]) if there is None else json_list(there)
        self._made += 1
        if request.method == "POST":
            if any(each["resourceName"] == sent["resourceName"] for each in ven["resources"]):
                return problem(409, "resourceName is taken")
            there = _sent(sent) | {"id": f"resource-{self._made}", "createdDateTime": _BEGAN.isoformat()}
            ven["resources"].append(there)
        elif request.method == "DELETE":
            ven["resources"].remove(there)
        else:
            kept = {name: there[name] for name in ("id", "createdDateTime")}  # type: ignore[index] # just found
            ven["resources"].remove(there)
            ven["resources"].append(there := _sent(sent) | kept)
        assert there is not None
        there |= {
            "objectType": "RESOURCE",
            "modificationDateTime": (_BEGAN + timedelta(seconds=self._made)).isoformat(),
        }
        there.pop("venID", None)
        return web.json_response(there, status=201 if request.method == "POST" else 200)

    def _listed(self, request: web.Request, objects: list[Document]) -> web.StreamResponse:
        query = request.query
        asked = {name: query[name] for name in _FILTERS if name in query}
        values = set(query.getall("targetValues", []))
        found = [
            self._shown(each)
            for each in objects
            if all(each.get(name) == asked[name] for name in asked) and (not values or values & _values_of(each))
        ]
        skip, limit = int(query.get("skip", 0)), int(query.get("limit", 50))
        answer = json_list(found[skip : skip + limit])
        tag = f'"{hashlib.sha256(answer.body or b"").hexdigest()}"'  # type: ignore[arg-type] # bytes
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        answer.headers["ETag"] = tag
        return answer

    def _shown(self, object_: Document) -> Document:
        if object_.get("objectType") == "VEN" and not self._embeds_resources:
            return {name: value for name, value in object_.items() if name != "resources"}
        return object_

    def _tell(self, verb: str, object_: Document) -> None:
        for each in self.of("subscriptions"):
            for operation in each["objectOperations"]:
                is_of_it = object_.get("programID") in {None, each["programID"]}
                if (
                    is_of_it
                    and object_["objectType"] in operation["objects"]
                    and _WORDS[verb] in operation["operations"]
                ):
                    body = {"objectType": object_["objectType"], "operation": verb, "object": object_}
                    self.posted.add(asyncio.create_task(_posted(operation, body)))


def _sent(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "objectType"}


def _values_of(object_: Document) -> set[str]:
    return {str(value) for target in object_.get("targets") or () for value in target["values"]}


async def _posted(operation: Document, body: Document) -> None:
    headers = {"Authorization": f"Bearer {operation['bearerToken']}"}
    async with aiohttp.ClientSession() as session, session.post(operation["callbackUrl"], json=body, headers=headers):
        pass


@asynccontextmanager
async def small_vtn301(*, embeds_resources: bool = True) -> AsyncIterator[SmallVtn301]:
    """Serve a SmallVtn301 on a random port."""
    vtn = SmallVtn301(embeds_resources=embeds_resources)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vtn.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    vtn.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}{PREFIX}"
    try:
        yield vtn
    finally:
        await asyncio.gather(*vtn.posted, return_exceptions=True)
        await runner.cleanup()
