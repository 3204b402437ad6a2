"""A VTN over real sockets, and callers that speak to it."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from sqlalchemy import delete, exists, select

from tests.support import canaries
from tests.support.official import official_document
from vtn.access import DEFAULT_SCOPES, Role, Scope
from vtn.app import VtnServer, build
from vtn.settings import Settings
from vtn.store import alarm_tables, tables
from vtn.store.console.plan_tables import event_plans
from vtn.store.console.tables import console_acts, console_users
from vtn.store.facts.tables import report_queue

Parameters: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]

CHEAP_SECRETS = {"time_cost": 1, "memory_kib": 8, "parallelism": 1}
START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

_WIPED = (
    tables.programs,
    tables.subscriptions,
    tables.resource_groups,
    tables.vens,
    tables.clients,
    tables.contacts,
    tables.endpoints,
    tables.notifications,
    console_users,
    console_acts,
    alarm_tables.alarms,
    alarm_tables.alarm_messages,
    event_plans,
)
_HELD = select(*(exists(table.select()).label(table.name) for table in _WIPED))
"""Which of these tables have rows: to ask is a statement, to remove the rows of none is one of each table."""

_numbers = itertools.count(1)


class Moment:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **length: float) -> None:
        """Let time pass: `pass_(seconds=5)`."""
        self.at += timedelta(**length)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The body as JSON."""
        return json.loads(self.raw)

    def ok(self, status: int = 200) -> Any:
        """The body, after making sure of the status."""
        assert self.status == status, f"expected {status}, got {self.status}: {self.raw.decode()}"
        return self.body

    def problem(self, status: int) -> str:
        """The detail of a problem body, after making sure of everything a problem must have (PROBLEM-001 … 003)."""
        body = self.ok(status)
        assert body["status"] == status
        assert body["title"]
        assert body["type"] == "about:blank"
        assert body["instance"].startswith("urn:uuid:")
        assert "\n" not in body["detail"]
        detail: str = body["detail"]
        return detail


class Session:
    """Somebody with a token (or without)."""

    def __init__(
        self, vtn: VtnUnderTest, client_id: str, headers: Mapping[str, str], prefix: str | None = None
    ) -> None:
        self.vtn = vtn
        self.client_id = client_id
        self.headers = dict(headers)
        self._prefix = prefix

    @property
    def base_url(self) -> str:
        """The address of the API that this caller speaks to."""
        return self.vtn.base_url if self._prefix is None else self.vtn.origin + self._prefix

    @property
    def on_301(self) -> Session:
        """The same caller on version 3.0.1."""
        return Session(self.vtn, self.client_id, self.headers, self.vtn.server.settings.v301.prefixes[0])

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Parameters | None = None,
        json: object = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `path` is below the prefix."""
        return await self.vtn.ask(
            method,
            self.base_url + path,
            params=params,
            json=json,
            raw=raw,
            headers=self.headers | dict(headers or {}),
        )

    async def get(self, path: str, params: Parameters | None = None, **headers: str) -> Answer:
        """GET; keyword arguments are headers, `if_none_match=…`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("GET", path, params=params, headers=named)

    async def post(self, path: str, document: object) -> Answer:
        """POST of a JSON document."""
        return await self.ask("POST", path, json=document)

    async def put(self, path: str, document: object) -> Answer:
        """PUT of a JSON document."""
        return await self.ask("PUT", path, json=document)

    async def delete(self, path: str) -> Answer:
        """DELETE."""
        return await self.ask("DELETE", path)

    async def ids(self, path: str, params: Parameters | None = None) -> list[str]:
        """The ids of a search, in the order of the answer."""
        return [found["id"] for found in (await self.get(path, params)).ok()]

    async def program(self, **members: Any) -> Any:
        """A new program; the name is made up unless given."""
        return (await self.post("/programs", {"programName": unique("program")} | members)).ok(201)

    async def event(self, program: Any, **members: Any) -> Any:
        """A new event of a program."""
        return (await self.post("/events", {"programID": program["id"]} | members)).ok(201)

    async def report(self, event: Any, **members: Any) -> Any:
        """A new report on an event."""
        return (
            await self.post("/reports", {"eventID": event["id"], "clientName": "meter", "resources": []} | members)
        ).ok(201)

    async def ven(self, **members: Any) -> Any:
        """A new ven of the caller's own."""
        return (await self.post("/vens", {"objectType": "VEN_VEN_REQUEST", "venName": unique("ven")} | members)).ok(201)

    async def ven_for(self, client: Session, targets: Iterable[str] = (), **members: Any) -> Any:
        """A new ven that business logic makes for a client."""
        document = {"objectType": "BL_VEN_REQUEST", "clientID": client.client_id, "venName": unique("ven")}
        return (await self.post("/vens", document | {"targets": list(targets)} | members)).ok(201)

    async def resource(self, ven: Any, **members: Any) -> Any:
        """A new resource of a ven, as the caller's role writes it."""
        document = {"resourceName": unique("resource"), "venID": ven["id"]}
        return (await self.post("/resources", document | members)).ok(201)

    async def group(self, *children: Any, **members: Any) -> Any:
        """A new resource group of resources and groups, given as objects."""
        document = {"resourceGroupName": unique("group"), "children": [child_of(child) for child in children]}
        return (await self.post("/resource_groups", document | members)).ok(201)


class VtnUnderTest:
    """A running server, a clock that stands still, and callers."""

    def __init__(self, settings: Settings, now: Moment | None = None) -> None:
        self.now = now or Moment()
        self.server: VtnServer = build(settings, now=self.now)
        self._session: aiohttp.ClientSession | None = None
        self._extensions: tuple[re.Pattern[str], ...] = ()
        self.judges = True
        """False for tests that put rows into the database that are no whole objects."""

    async def start(self) -> None:
        """Start the server and the session of all callers."""
        await self.server.start()
        self._session = aiohttp.ClientSession(
            skip_auto_headers=("Accept-Encoding", "Content-Type"), connector=aiohttp.TCPConnector(limit=0)
        )

    async def stop(self) -> None:
        """Stop both."""
        if self._session is not None:
            await self._session.close()
        await self.server.stop()

    @property
    def base_url(self) -> str:
        """The address of the API."""
        return self.server.base_url

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.server.origin

    async def ask(
        self,
        method: str,
        url: str,
        *,
        params: Parameters | None = None,
        json: object = None,
        raw: bytes | None = None,
        form: Parameters | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
    ) -> Answer:
        """One request as it is, to any address of the server."""
        assert self._session is not None
        sent = CIMultiDict(headers or ())
        body: dict[str, Any] = {"data": raw}
        if json is not None:
            body = {"data": _encoded(json)}
            sent.setdefault("Content-Type", "application/json")
        elif form is not None:
            body = {"data": urlencode(form)}
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        async with self._session.request(
            method, url, params=params, headers=sent, allow_redirects=False, auto_decompress=False, **body
        ) as response:
            answer = Answer(response.status, response.headers, await response.read())
        if answer.status >= 400:
            canaries.look(
                f"answer {answer.status} to {method} {urlsplit(url).path}", answer.raw.decode(errors="replace")
            )
        self._judge(method, url, answer)
        return answer

    @contextmanager
    def extensions(self, *patterns: str) -> Iterator[None]:
        """Let answers differ from the official document in what a documented extension of ours allows."""
        before, self._extensions = self._extensions, tuple(re.compile(pattern) for pattern in patterns)
        yield
        self._extensions = before

    def _judge(self, method: str, url: str, answer: Answer) -> None:
        """Make sure that an answer below a prefix is what the official document says, descriptors included."""
        path = urlsplit(url).path
        settings = self.server.settings
        every = (*settings.prefixes, *settings.v301.prefixes)
        prefix = next((each for each in every if path.startswith(each + "/")), None)
        if prefix is None or not answer.raw or not self.judges:
            return
        body = gzip.decompress(answer.raw) if answer.headers.get("Content-Encoding") == "gzip" else answer.raw
        document = official_document("3.1" if prefix in settings.prefixes else "3.0.1")
        found = document.answer_problems(method, path.removeprefix(prefix), answer.status, body)
        problems = [problem for problem in found if not any(each.search(problem) for each in self._extensions)]
        assert not problems, f"{method} {path}: {problems}: {body[:2000].decode()}"

    def caller(self, role: Role, *, scopes: Iterable[Scope] | None = None, client_id: str | None = None) -> Session:
        """Somebody with a token of a role, by default with the scopes the role usually has."""
        client_id = unique(role.lower()) if client_id is None else client_id
        chosen = DEFAULT_SCOPES[role] if scopes is None else frozenset(scopes)
        return self.with_token(self.server._tokens.issue(client_id, role, chosen, 3600), client_id)

    def with_token(self, token: str, client_id: str = "") -> Session:
        """Somebody with any token."""
        return Session(self, client_id, {"Authorization": f"Bearer {token}"})

    @property
    def bl(self) -> Session:
        """Business logic."""
        return self.caller(Role.BL)

    def home(self) -> Session:
        """A VEN that nobody knows yet."""
        return self.caller(Role.VEN)

    @property
    def nobody(self) -> Session:
        """Somebody without a token."""
        return Session(self, "", {})

    async def wipe(self) -> None:
        """Forget every object and client; time goes on, as it does for a server."""
        self.now.pass_(hours=1)
        contacts = self.server._contacts
        contacts._heard, contacts._refused = {}, {}
        async with self.server._database.write() as connection:
            held = (await connection.execute(_HELD)).one()
            for table, has_rows in zip(_WIPED, held, strict=True):
                if has_rows:
                    await connection.execute(delete(table))
            # Reports that went with their programs are in it too; nobody reads it, and who evaluates waits for it.
            await connection.execute(delete(report_queue))


def _encoded(document: object) -> io.BytesIO:
    """A JSON body of any size: the framework warns of large ones in bytes."""
    return io.BytesIO(json.dumps(document).encode())


def unique(word: str) -> str:
    """A name that no other test uses."""
    return f"{word}-{next(_numbers)}"


def child_of(one: Any) -> dict[str, str]:
    """A resource or a group as a child of a group."""
    type_ = "ven_resource" if one["objectType"] == "RESOURCE" else "resource_group"
    return {"type": type_, "id": one["id"]}
