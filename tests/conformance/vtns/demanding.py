"""A minimal, demanding VTN, in memory: it does the legal opposite of ours where the standard leaves a choice.

It shares no code with our VTN or with the suite. It lies at the root of its origin, keeps its objects in a dictionary,
and validates content as strictly as "an implementation detail" (Definition, Message validation) lets it: no event
without start, duration and interval or in the past, no empty list, no null, no member that the schema does not have, no
vens, resources and payload descriptors without objectType, no name beyond ASCII, no second object with the same
content, no report or subscription by a VEN that has no ven, no subscription by business logic (Definition, EndPoints).
Its ids are numbers, and others are 400; what was deleted is 410. PUT keeps what the body leaves out. Targets of a query
have to match all; names and targets compare without case. A VEN sees nothing until it has a ven, and targeted objects
only when it asks for their targets. Untargeted programs and events may be read without a token. Error bodies have a
title and nothing else, answers no validators, pages three items, tokens no lifetime; scopes that are asked for are not
heeded (RFC 6749 section 3.3), and token requests are rationed. How it tells of changes stands in `telling.py` and
`topics.py`.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from multidict import MultiDict, MultiMapping
from oadr_conformance import Credential, Subject

from bench.support.net import free_port
from tests.support.pki import Pki
from vtns.receiver import receiver_of
from vtns.telling import Webhooks, entries_for
from vtns.topics import Announcer, places

Obj = dict[str, Any]
Valid = Callable[[Any], bool]

_PAGE: Final = 3
_LONGEST_NAME: Final = 64
_TOKENS_PER_S: Final = 20.0
_TOKENS_AT_ONCE: Final = 5.0
_FARTHEST: Final = timedelta(days=730)
_LATEST: Final = timedelta(minutes=1)
_BY_THE_VTN: Final = {"id", "createdDateTime", "modificationDateTime"}
_DURATION: Final = re.compile(r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_TOPICS: Final = re.compile(
    "mqtt/topics/(programs/[0-9]+/events|vens/[0-9]+/(?:events|programs|resources)|(?:programs|vens)/[0-9]+"
    "|programs|events|reports|subscriptions|vens|resources)"
)
_OF_BL: Final = re.compile("(programs|events|reports|subscriptions|vens|resources)|programs-[0-9]+(-events)?")
_LOCAL: Final = timezone(timedelta(hours=1))


def _refused(status: int) -> web.Response:
    return web.json_response({"title": {400: "Bad Request", 404: "Not Found"}.get(status, "Refused")}, status=status)


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _require(holds: object, status: int = 400) -> None:
    if not holds:
        raise _RefusedError(status)


# What bodies may hold: each function says whether a value is one of its kind.


def _name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isascii() and value == value.strip()


def _word(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[A-Z][A-Z_]{0,63}", value) is not None


def _id(value: Any) -> bool:
    return isinstance(value, str) and value.isdecimal()


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _https(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("https://")


def _one_of(*words: str) -> Valid:
    return lambda value: value in words


def _list(valid: Valid) -> Valid:
    return lambda value: isinstance(value, list) and len(value) > 0 and all(map(valid, value))


def _distinct(valid: Valid) -> Valid:
    return lambda value: _list(valid)(value) and len(set(value)) == len(value)


def _object(required: dict[str, Valid], optional: dict[str, Valid] | None = None) -> Valid:
    known = required | (optional or {})

    def valid(value: Any) -> bool:
        if not isinstance(value, dict) or required.keys() - value.keys():
            return False
        return all(key in known and known[key](item) for key, item in value.items())

    return valid


def _seconds(text: Any) -> float:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    _require(match)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0,) * 4
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _duration(value: Any) -> bool:
    return _seconds(value) > 0


def _instant(value: Any) -> bool:
    return isinstance(value, str) and _moment(value) is not None


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _value(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) or _object({"x": _number, "y": _number})(value)


_PERIOD: Final = _object({"start": _instant, "duration": _duration})
_VALUES: Final = _object({"type": _word, "values": _list(_value)})
_INTERVAL: Final = _object({"id": _whole, "payloads": _list(_VALUES)}, {"intervalPeriod": _PERIOD})
_EVENT_DESCRIPTOR: Final = _object(
    {"objectType": _one_of("EVENT_PAYLOAD_DESCRIPTOR"), "payloadType": _word},
    {"units": _word, "currency": _one_of("USD", "EUR")},
)
_REPORT_DESCRIPTOR: Final = _object(
    {"objectType": _one_of("REPORT_PAYLOAD_DESCRIPTOR"), "payloadType": _word},
    {"units": _word, "readingType": _word, "accuracy": _number, "confidence": _whole},
)
_TARGETS: Final[dict[str, Valid]] = {"targets": _distinct(_name)}
_ATTRIBUTES: Final[dict[str, Valid]] = {"attributes": _list(_VALUES)}
_BODIES: Final[dict[str, Valid]] = {
    "program": _object(
        {"programName": _name},
        {
            "intervalPeriod": _PERIOD,
            "programDescriptions": _list(_object({"URL": _https})),
            "payloadDescriptors": _list(lambda value: _EVENT_DESCRIPTOR(value) or _REPORT_DESCRIPTOR(value)),
            **_ATTRIBUTES,
            **_TARGETS,
        },
    ),
    "event": _object(
        {"programID": _id, "intervalPeriod": _PERIOD, "intervals": _list(_INTERVAL)},
        {
            "eventName": _name,
            "priority": _whole,
            "reportDescriptors": _list(_object({"payloadType": _word}, {"readingType": _word, "units": _word})),
            "payloadDescriptors": _list(_EVENT_DESCRIPTOR),
            **_TARGETS,
        },
    ),
    "report": _object(
        {
            "eventID": _id,
            "clientName": _name,
            "resources": _list(
                _object({"resourceName": _name, "intervals": _list(_INTERVAL)}, {"intervalPeriod": _PERIOD})
            ),
        },
        {"reportName": _name, "payloadDescriptors": _list(_REPORT_DESCRIPTOR)},
    ),
    "subscription": _object(
        {
            "clientName": _name,
            "objectOperations": _list(
                _object(
                    {
                        "objects": _distinct(_one_of("PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE")),
                        "operations": _distinct(_one_of("CREATE", "UPDATE", "DELETE")),
                        "callbackUrl": _https,
                    },
                    {"bearerToken": _name},
                )
            ),
        },
        {"programID": _id, **_TARGETS},
    ),
    "BL ven": _object(
        {"objectType": _one_of("BL_VEN_REQUEST"), "clientID": _name, "venName": _name}, _TARGETS | _ATTRIBUTES
    ),
    "VEN ven": _object({"objectType": _one_of("VEN_VEN_REQUEST"), "venName": _name}, _ATTRIBUTES),
    "BL resource": _object(
        {"objectType": _one_of("BL_RESOURCE_REQUEST"), "clientID": _name, "resourceName": _name, "venID": _id},
        _TARGETS | _ATTRIBUTES,
    ),
    "VEN resource": _object(
        {"objectType": _one_of("VEN_RESOURCE_REQUEST"), "resourceName": _name, "venID": _id}, _ATTRIBUTES
    ),
}
_KINDS: Final = ("program", "event", "report", "subscription", "ven", "resource")
_WRITERS: Final = {
    "program": {"BL"},
    "event": {"BL"},
    "report": {"VEN"},
    "subscription": {"VEN"},
    "ven": {"BL", "VEN"},
    "resource": {"BL", "VEN"},
}
_FILTERS: Final = {
    "program": set[str](),
    "event": {"programID", "active"},
    "report": {"programID", "eventID", "clientName"},
    "subscription": {"programID", "clientName", "objects"},
    "ven": {"venName"},
    "resource": {"resourceName", "venID"},
}
_SCOPES: Final = {
    "BL": "read_all write_programs write_events write_vens",
    "VEN": "read_targets read_ven_objects write_reports write_subscriptions write_vens",
}


@dataclass(frozen=True)
class _Caller:
    client: str
    role: str


_NOBODY: Final = _Caller("", "")


@dataclass
class DemandingVtn:
    """The server, and how often each of its ways was met."""

    clients: dict[str, tuple[str, str]]
    """Client id -> secret and role."""
    webhooks: Webhooks
    announcer: Announcer
    met: Counter[str] = field(default_factory=Counter)
    _objects: dict[str, dict[str, Obj]] = field(default_factory=lambda: {kind: {} for kind in _KINDS})
    _tokens: dict[str, _Caller] = field(default_factory=dict)
    _last: int = 0
    _allowance: float = _TOKENS_AT_ONCE
    _counted: float = field(default_factory=time.monotonic)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        try:
            return await self._answer(request)
        except _RefusedError as error:
            self.met[f"{error.status}"] += 1
            return _refused(error.status)

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path == "/auth/server" and request.method == "GET":
            return web.json_response({"tokenURL": str(request.url.origin().with_path("/auth/token"))})
        if request.path == "/auth/token" and request.method == "POST":
            return self._token(await request.post())
        parts = request.path.strip("/").split("/")
        kind = parts[0].removesuffix("s")
        caller = self._caller(request)
        if parts[0] == "notifiers":
            _require(caller.role, 401)
            return web.json_response(self._notifiers(caller, "/".join(parts[1:])))
        _require(kind in _KINDS and parts[0] == f"{kind}s" and len(parts) <= 2, 403)  # a gateway says no more
        public = request.method == "GET" and kind in {"program", "event"}
        _require(caller.role or public, 401)
        if len(parts) == 2:
            return web.json_response(await self._one(kind, caller, parts[1], request))
        _require(request.method in {"GET", "POST"}, 404)
        if request.method == "GET":
            return self._search(kind, caller, request.query)
        body = await _body(request)
        _require(caller.role in _WRITERS[kind], 403)
        if kind == "subscription":
            for entry in self._checked(kind, caller, body, {})["objectOperations"]:
                _require(await self.webhooks.wants_to_be_called(entry["callbackUrl"]))
        return web.json_response(self._create(kind, caller, body), status=201)

    async def _one(self, kind: str, caller: _Caller, name: str, request: web.Request) -> Obj:
        _require(_id(name))
        if request.method == "GET":
            return self._read(kind, caller, name, request.query)
        _require(request.method in {"PUT", "DELETE"}, 404)
        _require(caller.role in _WRITERS[kind], 403)
        obj = self._own(kind, caller, name)
        if request.method == "DELETE":
            gone = _touched(self._objects[kind].pop(name))
            self._tell(kind, "DELETE", gone)
            return gone
        return self._replace(kind, caller, obj, await _body(request))

    def _notifiers(self, caller: _Caller, path: str) -> Obj:
        """Return the ways to be told, or the topics of one endpoint."""
        if not path:
            return {"MQTT": self.announcer.binding, "WEBHOOK": True, "AMQP": None}
        match = _TOPICS.fullmatch(path)
        _require(match, 404)
        place = match[1] if match else ""
        collection, name, below = (*place.split("/"), "", "")[:3]
        _require((collection == "vens" and bool(name)) == (caller.role == "VEN"), 403)
        if name:
            self._own(collection.removesuffix("s"), caller, name)
        return {"topics": self.announcer.names(place, of_one_object=bool(name) and not below)}

    def may_hear(self, client: str, token: str, place: str) -> bool:
        """Return True if a client of the broker is admitted, and may hear of this place."""
        caller = self._tokens.get(token, _NOBODY)
        if not client or caller.client != client:
            return False
        if not place:
            return True
        if caller.role == "BL":
            return _OF_BL.fullmatch(place) is not None
        return any(place.split("-")[:2] == ["vens", ven["id"]] for ven in self._vens_of(caller))

    def _token(self, form: MultiMapping[Any]) -> web.Response:
        now = time.monotonic()
        self._allowance = min(_TOKENS_AT_ONCE, self._allowance + (now - self._counted) * _TOKENS_PER_S)
        self._counted = now
        if self._allowance < 1:
            self.met["asked for patience with tokens"] += 1
            return web.json_response({"title": "Slow down"}, status=429, headers={"Retry-After": "1"})
        self._allowance -= 1
        if not form.get("grant_type"):
            return web.json_response({"error": "invalid_request"}, status=400)
        secret, role = self.clients.get(str(form.get("client_id")), ("", ""))
        if not role or form.get("client_secret") != secret:
            return web.json_response({"error": "invalid_client"}, status=400)
        if form["grant_type"] != "client_credentials":
            known = form["grant_type"] in {"password", "authorization_code"}
            error = "unauthorized_client" if known else "unsupported_grant_type"
            return web.json_response({"error": error}, status=400)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = _Caller(str(form["client_id"]), role)
        if form.get("scope"):
            self.met["gave other scopes"] += 1
        told = {"access_token": token, "token_type": "bearer", "scope": _SCOPES[role], "refresh_token": "unused"}
        return web.json_response(told, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _caller(self, request: web.Request) -> _Caller:
        given = request.headers.get("Authorization")
        if given is None:
            return _NOBODY
        scheme, _, token = given.partition(" ")
        _require(scheme.lower() == "bearer" and token in self._tokens, 401)
        return self._tokens[token]

    # Reading

    def _search(self, kind: str, caller: _Caller, query: MultiMapping[str]) -> web.Response:
        paging = {"skip", "limit"} | ({"targets"} if kind not in {"report", "subscription"} else set())
        _require(query.keys() <= _FILTERS[kind] | paging)
        skip, limit = (int(query.get(name, usual)) for name, usual in (("skip", "0"), ("limit", "50")))
        _require(skip >= 0 and 0 <= limit <= 50)
        found = [shown for obj in self._objects[kind].values() if (shown := self._shown(kind, caller, obj, query))]
        found = [obj for obj in found if self._matches(kind, obj, query)]
        return web.json_response(found[skip : skip + min(limit, _PAGE)])

    def _read(self, kind: str, caller: _Caller, name: str, query: MultiMapping[str]) -> Obj:
        shown = self._shown(kind, caller, self._there(kind, name), query)
        _require(shown, 404)
        return shown or {}

    def _shown(self, kind: str, caller: _Caller, obj: Obj, query: MultiMapping[str]) -> Obj | None:
        """The object as the caller sees it; None where it does not."""
        if caller.role == "BL":
            return obj
        if kind not in {"program", "event"}:
            return obj if obj["clientID"] == caller.client else None
        targets = obj.get("targets", [])
        if caller.role and not self._vens_of(caller):
            return None
        if not targets:
            return obj
        usable = _folded(self._granted(caller)) & _folded(query.getall("targets", []))
        if not usable & _folded(targets):
            self.met["hid what was not asked for"] += 1
            return None
        return obj | {"targets": [target for target in targets if target.lower() in usable]}

    def _matches(self, kind: str, obj: Obj, query: MultiMapping[str]) -> bool:
        if not _folded(query.getall("targets", [])) <= _folded(obj.get("targets", [])):
            return False
        for name in ("programID", "eventID", "clientName", "venName", "resourceName", "venID"):
            if name not in query:
                continue
            if name.endswith("ID"):
                _require(_id(query[name]))
            value = obj.get(name)
            if kind == "report" and name == "programID":
                value = self._objects["event"].get(obj["eventID"], {}).get("programID")
            if str(value).lower() != query[name].strip().lower():
                return False
        words = {word for entry in obj.get("objectOperations", []) for word in entry["objects"]}
        if not set(query.getall("objects", [])) <= words:
            return False
        return query.get("active") != "true" or not _is_over(obj)

    def _vens_of(self, caller: _Caller) -> list[Obj]:
        return [ven for ven in self._objects["ven"].values() if ven["clientID"] == caller.client]

    def _granted(self, caller: _Caller) -> list[str]:
        resources = [one for one in self._objects["resource"].values() if one["clientID"] == caller.client]
        return [target for one in (*self._vens_of(caller), *resources) for target in one.get("targets", [])]

    def _there(self, kind: str, name: str) -> Obj:
        obj = self._objects[kind].get(name)
        _require(obj is not None, 410 if 0 < int(name) <= self._last else 404)
        return obj or {}

    def _own(self, kind: str, caller: _Caller, name: str) -> Obj:
        obj = self._there(kind, name)
        _require(caller.role == "BL" or obj["clientID"] == caller.client, 404)
        return obj

    # Writing

    def _create(self, kind: str, caller: _Caller, body: Obj) -> Obj:
        members = self._checked(kind, caller, body, {})
        for other in self._objects[kind].values():
            same = all(other.get(key) == value for key, value in members.items())
            _require(not same, 409)
        self._last += 1
        now = _now()
        made = {"id": str(self._last), "createdDateTime": now, "modificationDateTime": now}
        obj = made | {"objectType": kind.upper()} | members
        self._objects[kind][obj["id"]] = obj
        self._tell(kind, "CREATE", obj)
        return obj

    def _replace(self, kind: str, caller: _Caller, obj: Obj, body: Obj) -> Obj:
        members = self._checked(kind, caller, body, obj)
        changed = _touched(obj | members)
        self._objects[kind][obj["id"]] = changed
        self._tell(kind, "UPDATE", changed)
        return changed

    def _tell(self, kind: str, operation: str, obj: Obj) -> None:
        """Tell the subscribers who may see it, asking for the targets of their subscriptions."""
        for subscription, entry in entries_for(self._objects["subscription"].values(), kind, operation):
            query = MultiDict(("targets", target) for target in subscription.get("targets", []))
            shown = self._shown(kind, _Caller(subscription["clientID"], "VEN"), obj, query)
            if shown is not None:
                self.webhooks.tell(entry, kind, operation, shown)
        for place in places(kind, obj):
            self.announcer.publish(place, operation, obj)
        if kind in {"ven", "resource"}:
            place = f"vens/{obj['id']}" if kind == "ven" else f"vens/{obj['venID']}/resources"
            self.announcer.publish(place, operation, obj)
        if obj.get("targets") and kind in {"program", "event"}:
            for ven in self._objects["ven"].values():
                caller = _Caller(ven["clientID"], "VEN")
                held = MultiDict(("targets", target) for target in self._granted(caller))
                shown = self._shown(kind, caller, obj, held)
                if shown is not None:
                    self.announcer.publish(f"vens/{ven['id']}/{kind}s", operation, shown)

    def _checked(self, kind: str, caller: _Caller, body: Obj, before: Obj) -> Obj:
        """The members to be stored."""
        members = {key: value for key, value in body.items() if key not in _BY_THE_VTN}
        if kind in {"ven", "resource"}:
            _require(_BODIES[f"{caller.role} {kind}"](members))
        else:
            members.pop("objectType", None)
            _require(_BODIES[kind](members))
        members.pop("objectType" if kind in {"ven", "resource"} else "", None)
        if kind == "event":
            start = _moment(members["intervalPeriod"]["start"]) or datetime.now(UTC)
            _require(-_LATEST <= start - datetime.now(UTC) <= _FARTHEST or before)
        for name, other in (("programID", "program"), ("eventID", "event"), ("venID", "ven")):
            if name in members:
                _require(before.get(name, members[name]) == members[name])  # nothing moves
                refers_to = self._there(other, members[name])
                _require(other != "ven" or caller.role == "BL" or refers_to["clientID"] == caller.client, 404)
        if caller.role == "VEN":
            _require(kind == "ven" or self._vens_of(caller), 403)
            members["clientID"] = caller.client
        if kind == "subscription":
            _require(_folded(members.get("targets", [])) <= _folded(self._granted(caller)), 403)
        self._check_names(kind, members, before)
        return members

    def _check_names(self, kind: str, members: Obj, before: Obj) -> None:
        """Names are unique: of programs and vens in the VTN, of resources in their ven."""
        name = {"program": "programName", "ven": "venName", "resource": "resourceName"}.get(kind)
        others = [one for one in self._objects[kind].values() if one["id"] != before.get("id")]
        clash = any(
            one[name] == members[name] and (kind != "resource" or one["venID"] == members["venID"])
            for one in others
            if name
        )
        _require(not clash, 409 if kind != "ven" and not before else 400)
        if kind == "ven":
            _require(members["clientID"] not in [one["clientID"] for one in others])


async def _body(request: web.Request) -> Obj:
    _require(request.content_type == "application/json")
    try:
        value = await request.json()
    except (ValueError, RecursionError):
        raise _RefusedError(400) from None
    _require(isinstance(value, dict))
    return dict(value)


def _folded(texts: Iterable[str]) -> set[str]:
    return {text.strip().lower() for text in texts}


def _now() -> str:
    return datetime.now(_LOCAL).isoformat(timespec="seconds")


def _touched(obj: Obj) -> Obj:
    return obj | {"modificationDateTime": _now()}


def _is_over(event: Obj) -> bool:
    start = _moment(event["intervalPeriod"]["start"]) or datetime.now(UTC)
    length_s = _seconds(event["intervalPeriod"]["duration"]) * len(event["intervals"])
    return start + timedelta(seconds=length_s) <= datetime.now(UTC)


@asynccontextmanager
async def demanding_vtn(directory: Path) -> AsyncIterator[tuple[Subject, DemandingVtn]]:
    """Hold what the suite knows of this VTN while it runs, and the questions asked."""
    pki = Pki(directory, now=lambda: datetime.now(UTC))
    roles = {"bl": "BL", "ven-1": "VEN", "ven-2": "VEN", "ven-3": "VEN"}
    secret = secrets.token_urlsafe(12)
    announcer = Announcer(pki)
    accounts = {client: (secret, role) for client, role in roles.items()}
    server = DemandingVtn(accounts, Webhooks(pki.ca), announcer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    try:
        await announcer.start(server.may_hear)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        bl, ven, ven2, stranger = (Credential(client_id=client, client_secret=secret) for client in roles)
        yield (
            Subject(
                f"http://127.0.0.1:{port}",
                bl=bl,
                ven=ven,
                ven2=ven2,
                stranger=stranger,
                receiver=receiver_of(pki),
                ca_file=pki.ca,
            ),
            server,
        )
    finally:
        await runner.cleanup()
        await server.webhooks.close()
        await announcer.stop()
