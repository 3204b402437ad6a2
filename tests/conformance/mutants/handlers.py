"""What makes a VTN wrong: each function here gives a handler for the proxy, with a memory of its own."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from multidict import CIMultiDict

from mutants.proxy import Handler, ProxiedAnswer, ProxiedRequest, Upstream

Obj = dict[str, Any]

READS = ("GET",)
WRITES = ("POST", "PUT")
Changing = Callable[[Obj], Obj]

_DATE = "2001-01-01T00:00:00.000000Z"
_TEXTS = {
    "programs": "programName",
    "events": "eventName",
    "reports": "reportName",
    "subscriptions": "clientName",
    "vens": "venName",
    "resources": "resourceName",
}


class FaultPlace(Enum):
    """Name the place of a fault."""

    API = "between the suite and the VTN"
    CALLBACKS = "between the VTN and the suite's receiver"
    BROKER = "between the VTN's publications and the suite"


@dataclass(frozen=True)
class Fault:
    """One way of being wrong: its name, what makes it so, and the checks that have to see it.

    Checks are named by their keys with `*`, `?` and `[...]`, parted by semicolons. What is made stands in front of the
    API or of the suite's receiver, or changes what is published.
    """

    name: str
    make: Callable[[], Any]
    seen_by: str
    place: FaultPlace = FaultPlace.API

    @property
    def patterns(self) -> list[str]:
        """Return the keys of these checks, with wildcards."""
        return [" ".join(pattern.split()) for pattern in self.seen_by.split(";")]


def problem(told: ProxiedAnswer, status: int) -> ProxiedAnswer:
    """Return an error body of this status."""
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": "refused by the proxy"}
    return told.with_json(body, status)


# Statuses


def status(was: int | tuple[int, ...], to: int, method: str = "") -> Handler:
    """Answers with another status; what is in the body fits it."""
    before = (was,) if isinstance(was, int) else was

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if told.status not in before or (method and asked.method != method):
            return told
        if to >= 400:
            return problem(told, to)
        value = told.json()
        return told.with_json(value if told.status < 400 else [] if not asked.single else {}, to)

    return handle


def accepts(method: str = "POST") -> Handler:
    """Accepts what has to be refused: the answer shows an object as if it had been stored."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if asked.method != method or told.status < 400:
            return told
        body = asked.json()
        made = {"id": "made-up", "createdDateTime": _DATE, "modificationDateTime": _DATE}
        return told.with_json((body if isinstance(body, dict) else {}) | made, 201 if method == "POST" else 200)

    return handle


def refuses(code: int = 400, methods: tuple[str, ...] = ("POST", "PUT")) -> Handler:
    """Refuses what has to be accepted."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return problem(told, code) if asked.method in methods and told.status < 400 else told

    return handle


def refuses_if(code: int, condition: Callable[[ProxiedRequest], Any]) -> Handler:
    """Refuses some requests that have to be accepted."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return problem(told, code) if told.status < 400 and condition(asked) else told

    return handle


def at(path: str, handler: Handler) -> Handler:
    """Return the fault where the path below the prefix begins so, nowhere else."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await (handler(asked, upstream) if asked.below.startswith(path) else upstream.send(asked))

    return handle


# Writes


def does_it_anyway() -> Handler:
    """Says no to a PUT or DELETE, and changes or deletes the object all the same."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if told.status < 400 or asked.method not in {"PUT", "DELETE"} or not asked.single:
            return told
        quiet = replace(asked.with_headers(If_Match=None, Content_Type="application/json"), query=())
        current = (await upstream.send(upstream.as_bl(replace(quiet, method="GET", body=b"")))).json()
        if not isinstance(current, dict) or "id" not in current:
            return told
        changed = current | {_TEXTS[asked.collection]: current.get(_TEXTS[asked.collection], "x")[:100] + "-changed"}
        if asked.collection in {"vens", "resources"}:
            changed["objectType"] = f"BL_{asked.collection[:-1].upper()}_REQUEST"
        body = b"" if asked.method == "DELETE" else json.dumps(changed).encode()
        for token in upstream.tokens.values():
            if (await upstream.send(replace(quiet, body=body).by(token))).status == 200:
                break
        return told

    return handle


def creates_anyway() -> Handler:
    """Says no to a POST, and creates an object all the same: a copy of one that is there."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if told.status < 400 or asked.method != "POST":
            return told
        found = await upstream.send(upstream.as_bl(replace(asked, method="GET", body=b"")))
        template = dict(found.json()[0])
        name = _TEXTS[asked.collection]
        template[name] = f"{template.get(name, '')}-copy"
        if asked.collection in {"vens", "resources"}:
            template["objectType"] = f"BL_{asked.collection[:-1].upper()}_REQUEST"
        if asked.collection == "vens":
            template["clientID"] += "-copy"
        for token in upstream.tokens.values():
            if (await upstream.send(replace(asked, body=json.dumps(template).encode()).by(token))).status == 201:
                break
        return told

    return handle


def pretends(method: str) -> Handler:
    """Answers a PUT or DELETE as if it had been done, and does nothing."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        if asked.method != method or not asked.single:
            return await upstream.send(asked)
        told = await upstream.send(replace(asked.with_headers(If_Match=None), method="GET", body=b""))
        if told.status != 200 or method == "DELETE":
            return told
        body = asked.json()
        return told.with_json(told.json() | (body if isinstance(body, dict) else {}))

    return handle


def merges() -> Handler:
    """Treats PUT like PATCH: what is not in the body stays."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        if asked.method == "PUT" and asked.single and isinstance(asked.json(), dict):
            current = (await upstream.send(replace(asked.with_headers(If_Match=None), method="GET", body=b""))).json()
            asked = replace(asked, body=json.dumps({**(current or {}), **asked.json()}).encode())
        return await upstream.send(asked)

    return handle


def echoes() -> Handler:
    """Returns what was sent instead of what was stored."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        body, value = asked.json(), told.json()
        if asked.method in {"POST", "PUT"} and isinstance(body, dict) and isinstance(value, dict) and told.status < 400:
            return told.with_json(value | body)
        return told

    return handle


# Queries


def forgets(*names: str) -> Handler:
    """Ignores these query parameters."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await upstream.send(asked.without(*names))

    return handle


def forgets_everything() -> Handler:
    """Ignores the whole query."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await upstream.send(replace(asked, query=()))

    return handle


def first_of_each() -> Handler:
    """Sees only the first of repeated query parameters."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        first: dict[str, str] = {}
        for name, value in asked.query:
            first.setdefault(name, value)
        return await upstream.send(replace(asked, query=tuple(first.items())))

    return handle


def splits_commas() -> Handler:
    """Takes a comma in a query parameter for a separator."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        query = tuple((name, part) for name, value in asked.query for part in value.split(","))
        return await upstream.send(replace(asked, query=query))

    return handle


def trims_targets(change: Callable[[str], str]) -> Handler:
    """Compares targets loosely: what `change` makes of a value matches too."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        query = tuple((name, change(value) if name == "targets" else value) for name, value in asked.query)
        return await upstream.send(replace(asked, query=query))

    return handle


def obeys_targets_by_id() -> Handler:
    """Lets a targets parameter decide about a read by id."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        wanted, value = asked.given("targets"), told.json()
        if asked.single and wanted and told.status == 200 and not set(wanted) & set(value.get("targets", [])):
            return problem(told, 404)
        return told

    return handle


# Answers


def objects(change: Changing, methods: tuple[str, ...] = ("GET", "POST", "PUT", "DELETE")) -> Handler:
    """Changes every object of a good answer."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        value = told.json()
        if told.status >= 300 or asked.method not in methods or value is None:
            return told
        if isinstance(value, list):
            return told.with_json([change(copy.deepcopy(one)) for one in value])
        return told.with_json(change(copy.deepcopy(value)))

    return handle


def lists(change: Callable[[list[Obj]], Any]) -> Handler:
    """Changes what a search gives."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        value = told.json()
        return told.with_json(change(value)) if told.status == 200 and isinstance(value, list) else told

    return handle


def errors(change: Callable[[Obj], Any]) -> Handler:
    """Changes the body of errors."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        value = told.json()
        return told.with_json(change(value)) if told.status >= 400 and isinstance(value, dict) else told

    return handle


def header(name: str, value: str | None, condition: Callable[[ProxiedAnswer], bool] = lambda _told: True) -> Handler:
    """Sends another header, or leaves it out."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return told.with_header(name, value) if condition(told) else told

    return handle


def text(change: Callable[[str], str]) -> Handler:
    """Changes the text of good answers."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if told.status >= 300:
            return told
        return ProxiedAnswer(told.status, told.headers, change(told.body.decode()).encode())

    return handle


def page_of_html() -> Handler:
    """Shows errors as a page for people."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if told.status < 400:
            return told
        return ProxiedAnswer(told.status, CIMultiDict({"Content-Type": "text/html"}), b"<h1>Error</h1>")

    return handle


def shows_what_clashes() -> Handler:
    """Shows in a 409 the objects that are there."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if told.status != 409:
            return told
        found = await upstream.send(upstream.as_bl(replace(asked, method="GET", body=b"")))
        return told.with_json(told.json() | {"detail": found.body.decode()})

    return handle


# Who is asking


def everybody_is_bl() -> Handler:
    """Serves everybody as business logic."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await upstream.send(upstream.as_bl(asked).without("access_token"))

    return handle


def scopes_do_not_count() -> Handler:
    """Gives every client all it may have, whatever scopes its token holds."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        token = upstream.tokens.get(asked.claims.get("client_id", ""))
        return await upstream.send(asked.by(token) if token else asked)

    return handle


def one_of_the_headers() -> Handler:
    """Takes the first of two Authorization headers."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await upstream.send(asked.with_headers(Authorization=asked.headers.getall("Authorization")[0]))

    return handle


def shows_all_targets() -> Handler:
    """Shows a VEN all targets of the objects it may see."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        value = told.json()
        if asked.method != "GET" or told.status != 200 or asked.collection not in {"programs", "events"}:
            return told

        async def whole(obj: Obj) -> Obj:
            path = f"{asked.prefix}/{asked.collection}/{obj['id']}"
            plain = replace(asked, path=path, query=()).with_headers(Accept_Encoding=None, If_None_Match=None)
            full = (await upstream.send(upstream.as_bl(plain))).json()
            return obj | {key: full[key] for key in ("targets", "reportDescriptors") if key in full}

        if isinstance(value, list):
            return told.with_json([await whole(one) for one in value])
        return told.with_json(await whole(value))

    return handle


# Caches


def stale() -> Handler:
    """Remembers the first answer to a read and gives it for ever, also as 304."""
    seen: dict[object, ProxiedAnswer] = {}

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        if asked.method != "GET":
            return await upstream.send(asked)
        key = (asked.path, asked.query, asked.headers.get("Authorization"))
        if key not in seen:
            seen[key] = await upstream.send(asked.with_headers(If_None_Match=None))
        told = seen[key]
        tag = told.headers.get("ETag")
        if tag and asked.headers.get("If-None-Match") == tag:
            return ProxiedAnswer(304, told.headers, b"")
        return told

    return handle


def without_request_header(name: str) -> Handler:
    """Does not read this header."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await upstream.send(asked.with_headers(**{name: None}))

    return handle


def always_not_modified() -> Handler:
    """Answers 304 to every conditional read."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked.with_headers(If_None_Match=None))
        if told.status == 200 and "If-None-Match" in asked.headers:
            return ProxiedAnswer(304, told.headers, b"")
        return told

    return handle


def another_tag_each_time() -> Handler:
    """Never gives the same tag twice."""
    count = 0

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        nonlocal count
        count += 1
        return (await upstream.send(asked)).with_header("ETag", f'"{count}"')

    return handle


def always_gzip() -> Handler:
    """Compresses whatever the client accepts."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked.with_headers(Accept_Encoding=None))
        packed = ProxiedAnswer(told.status, told.headers, gzip.compress(told.body))
        return packed.with_header("Content-Encoding", "gzip")

    return handle


# Trouble


def hangs_up_after(number: int) -> Handler:
    """Closes the connection without an answer at this request and all later ones."""
    count = 0

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        nonlocal count
        count += 1
        return await upstream.send(asked) if count < number else ProxiedAnswer(0)

    return handle


def slow(seconds: float, method: str) -> Handler:
    """Takes its time with every such request."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        if asked.method == method:
            await asyncio.sleep(seconds)
        return await upstream.send(asked)

    return handle


# Changes of objects


def sets(**members: Any) -> Changing:
    """Return these members have other values."""
    return lambda obj: obj | members


def drops(*names: str) -> Changing:
    """Return these members are missing."""
    return lambda obj: {key: value for key, value in obj.items() if key not in names}


def renames(name: str, change: Callable[[Any], Any]) -> Changing:
    """Return a member is changed, at every depth."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: change(item) if key == name else walk(item) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    return lambda obj: dict(walk(obj))


def loses_descriptor_types(obj: Obj) -> Obj:
    """Payload descriptors without objectType."""
    made = [drops("objectType")(one) for one in obj.get("payloadDescriptors", [])]
    return obj | ({"payloadDescriptors": made} if made else {})


def blank_dates(value: str) -> str:
    """Return a date with a blank instead of T."""
    return re.sub(r"(DateTime\": ?\"[-0-9]{10})T", r"\1 ", value)


def numbers_as_floats(value: Any) -> Any:
    """1 becomes 1.0 at every depth."""
    if isinstance(value, dict):
        return {key: numbers_as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers_as_floats(item) for item in value]
    return float(value) if type(value) is int else value


def by_modification(found: list[Obj]) -> list[Obj]:
    """Return the latest change first."""
    return sorted(found, key=lambda obj: str(obj["modificationDateTime"]), reverse=True)


def later(obj: Obj) -> Obj:
    """Return the start moved by a random time, as only a client may do."""

    def move(start: str) -> str:
        moment = datetime.fromisoformat(start) + timedelta(seconds=random.randint(1, 900))
        return moment.astimezone(UTC).isoformat()

    return renames("start", move)(obj)


def as_requested(obj: Obj) -> Obj:
    """objectType is the word of the request."""
    return obj | {"objectType": f"BL_{obj['objectType']}_REQUEST"} if "objectType" in obj else obj


_numbers = iter(range(10**9))


def another_number() -> int:
    """Return a number that was not given before."""
    return next(_numbers)


def another_client(obj: Obj) -> Obj:
    """Return each answer names another client."""
    return obj | {"clientID": f"somebody-{another_number()}"}
