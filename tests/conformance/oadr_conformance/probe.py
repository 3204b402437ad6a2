"""Context of a check: clients in their roles, data of its own, and their deletion afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from multidict import CIMultiDict

from oadr_conformance import bodies
from oadr_conformance.broker import BrokerLink, account
from oadr_conformance.callbacks import Challenged, LabCallback, Notified, Reply, echoed
from oadr_conformance.errors import Mismatch, SeedFailed, Skipped, Unreachable
from oadr_conformance.profile import Profile
from oadr_conformance.session import PREFIX, Credential, Session, is_ours
from oadr_conformance.told import ToldInbox
from oadr_conformance.wire import Headers, HttpExchange, Obj, Purpose, Query, VtnAnswer

BAD_TOKEN = "bad_token"
NO_RECEIVER = "needs --receiver: a URL at which the VTN can call this suite"
_PAGES = 1000
"""Against a VTN that ignores skip; what a page holds is the VTN's decision."""


@dataclass(frozen=True)
class Made:
    """An object that is to be deleted when the check is over, and by whom."""

    path: str
    by: Actor


class Actor:
    """One client of the VTN; every request is recorded and every object it creates is deleted after the check."""

    def __init__(self, probe: Probe, name: str, credential: Credential | None, scope: str = "") -> None:
        self.name = name
        self._probe = probe
        self._credential = credential
        self._scope = scope

    @property
    def client_id(self) -> str:
        """Return the client identifier the VTN knows this client by."""
        known = self._probe.session.client_ids.get(self.name)
        if not known:
            raise Skipped(f"the client identifier of {self.name} is not known: the VTN lets it register no ven")
        return known

    @property
    def account_name(self) -> str:
        """Return the client's identifier at the broker, where that is `{clientID}`."""
        given = self._credential.client_id if self._credential else ""
        return self._probe.session.client_ids.get(self.name) or given or self.client_id

    async def token(self) -> str:
        """Return a valid token of this client."""
        if self._credential is None:
            raise RuntimeError(f"{self.name} has no token")
        return await self._probe.session.token(self._credential, self._scope)

    async def get(self, path: str, query: Query = (), headers: Headers | None = None) -> VtnAnswer:
        """GET below the API prefix, or at an absolute URL."""
        return await self.send("GET", path, query=query, headers=headers)

    async def post(self, path: str, body: object = None, headers: Headers | None = None) -> VtnAnswer:
        """POST; bytes go out as they are, anything else as JSON."""
        return await self.send("POST", path, body=body, headers=headers)

    async def put(self, path: str, body: object = None, headers: Headers | None = None) -> VtnAnswer:
        """PUT, see `post`."""
        return await self.send("PUT", path, body=body, headers=headers)

    async def delete(self, path: str, headers: Headers | None = None) -> VtnAnswer:
        """DELETE."""
        return await self.send("DELETE", path, headers=headers)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: object = None,
        headers: Headers | None = None,
        step: Purpose | None = None,
        patient: bool = True,
        as_it_is: bool = False,
    ) -> VtnAnswer:
        """Any request. A header given here replaces the usual one; an empty value leaves it out.

        It is written in the words of the version that is examined, and read in those of 3.1, unless `as_it_is`.

        Unless it is patient, a 429 is the answer; else the VTN gets the time that it asks for.
        """
        probe = self._probe
        pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
        dialect, asked = probe.session.dialect, path
        if not as_it_is:
            path, pairs, body = dialect.asked(method, path, pairs, body)
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent: CIMultiDict[str] = CIMultiDict({"Accept": "application/json"})
        if body is not None:
            sent["Content-Type"] = "application/json"
        if self._credential is not None:
            sent["Authorization"] = f"Bearer {await self.token()}"
        if headers:
            for name in headers:
                sent.popall(name, None)
            sent.extend(headers)
            for name in [name for name, value in headers.items() if not value]:
                sent.popall(name, None)
        url = path if "://" in path else probe.session.base + path
        if pairs:
            url += "?" + urlencode(pairs, doseq=True)
        exchange = probe.session.exchange(step or probe.step, self.name, method, url, sent, raw, probe.key)
        probe.log.append(exchange)
        answer = await probe.session.wire.send(exchange, patient=patient)
        answer.binding = probe.profile.rulings
        if not as_it_is:
            answer.read = partial(dialect.told, method, asked)
        self._note(method, asked, answer)
        return answer

    def _note(self, method: str, path: str, answer: VtnAnswer) -> None:
        if method == "POST" and answer.status == 201 and path in bodies.COLLECTIONS.values():
            try:
                made = str(answer.object()["id"])
            except (Mismatch, KeyError):
                return  # the check will say what is wrong with this answer
            self._probe.made.append(Made(f"{path}/{quote(made, safe='')}", self._deleter(path)))
        if method == "DELETE" and answer.status == 200:
            self._probe.made = [made for made in self._probe.made if made.path != path]

    def _deleter(self, path: str) -> Actor:
        """Business logic, but for what only its owner may delete everywhere."""
        mine = path in {"/reports", "/subscriptions"} and self._credential is not None
        return Actor(self._probe, self.name, self._credential) if mine else self._probe.bl


class Probe:
    """One check's view of the VTN under test."""

    def __init__(self, session: Session, key: str, needs: frozenset[str]) -> None:
        self.session = session
        self.key = key
        self.step = Purpose.CHECK
        self.log: list[HttpExchange] = []
        self.made: list[Made] = []
        self._callbacks: list[LabCallback] = []
        self._links: list[BrokerLink] = []
        self._needs = needs
        self._readied: dict[str, Obj] = {}
        subject = session.subject
        self.bl = Actor(self, "BL", subject.bl)
        self._ven = Actor(self, "VEN 1", subject.ven)
        self._ven2 = Actor(self, "VEN 2", subject.ven2)
        self._stranger = Actor(self, "VEN 3", subject.stranger) if subject.stranger else self._ven2
        self.nobody = Actor(self, "nobody", None)
        self.impostor = Actor(self, "bad token", Credential(token=BAD_TOKEN))

    @property
    def profile(self) -> Profile:
        """Return the declared configuration of the VTN."""
        return self.session.profile

    @property
    def ven(self) -> Actor:
        """Return the first VEN; it has no ven object until `enrol`."""
        self._need("ven")
        return self._ven

    @property
    def ven2(self) -> Actor:
        """Return the second VEN."""
        self._need("ven2")
        return self._ven2

    @property
    def stranger(self) -> Actor:
        """Return a VEN that gets no ven object; the second VEN, unless credentials of a third were given."""
        self._need("ven2")
        return self._stranger

    @property
    def callback_url(self) -> str:
        """Return a URL the VTN accepts for callbacks.

        Raises:
            Skipped: the VTN verifies URLs and none was given that answers.
        """
        if self.session.subject.callback_url:
            return self.session.subject.callback_url
        if self.session.callbacks is not None:
            return self.callback().url
        if self.profile.verify_echo:
            raise Skipped("needs --receiver, --callback-url (one that answers the echo challenge) or no verification")
        return "https://example.com/callback"

    def callback(
        self, *, challenged: Challenged = echoed, notified: Notified = lambda _earlier: Reply()
    ) -> LabCallback:
        """Return a new URL of ours for the VTN to call; it is gone when the check is over.

        Raises:
            Skipped: the suite was given no place to listen at.
        """
        server = self.session.callbacks
        if server is None:
            raise Skipped(NO_RECEIVER)
        url = server.url(self.session.tag.removeprefix(PREFIX))
        made = LabCallback(url, self.log, self.inbox(), challenged=challenged, notified=notified)
        server.open(made)
        self._callbacks.append(made)
        return made

    def inbox(self, *, bare_will_do: bool = False) -> ToldInbox:
        """Return a place for notifications to arrive at."""
        patience_s = self.session.subject.patience_s
        return ToldInbox(binding=self.profile.rulings, patience_s=patience_s, bare_will_do=bare_will_do)

    async def binding(self, actor: Actor) -> Obj:
        """Return what the VTN tells a client of its broker.

        Raises:
            Skipped: it has none.
        """
        told = (await actor.get("/notifiers")).expect(200).object()
        if "MQTT" not in told:
            raise Skipped("applies where the VTN announces a broker of MQTT; this one does not")
        found: Obj = told["MQTT"]
        return found

    async def link(self, actor: Actor, *, binding: Obj | None = None, password: str | None = None) -> BrokerLink:
        """Return a client of the broker with the account that the VTN gives it; it is not connected yet."""
        found = account(binding or await self.binding(actor), lambda: actor.account_name, await actor.token())
        if password is not None:
            found = replace(found, password=password)
        wire = self.session.wire
        made = BrokerLink(found, self.inbox(bare_will_do=True), self.log, wire.trust)
        self._links.append(made)
        return made

    async def listen(self, actor: Actor, *filters: str) -> ToldInbox:
        """Return where messages arrive that a client subscribes to at the broker.

        Raises:
            Mismatch: there is no connection, or it may not subscribe.
        """
        link = await self.link(actor)
        await link.connect()
        granted = await link.subscribe(filters)
        if not all(granted):
            raise Mismatch(f"a subscription of {actor.name} to {', '.join(filters)}", "the broker does not grant it")
        return link.inbox

    async def eavesdrop(self, actor: Actor, *filters: str) -> ToldInbox:
        """Return the same for somebody who should hear nothing there; the broker may refuse as it likes."""
        link = await self.link(actor)
        if not await link.refused():
            await link.subscribe(filters)
        return link.inbox

    def same(self, what: str, got: object, expected: object) -> None:
        """Like `Answer.same`, for a fact put together from several answers; it is ours, so it is exact."""
        VtnAnswer(self.log[-1]).same(what, got, expected)

    def scoped(self, actor: Actor, scope: str) -> Actor:
        """Return the same client with a token that holds only these scopes."""
        self._need("secret")
        return Actor(self, actor.name, actor._credential, scope)

    def name(self, kind: str = "x") -> str:
        """Return a name nobody else uses."""
        return self.session.name(kind)

    async def seed(self, actor: Actor, path: str, body: Obj) -> Obj:
        """Create an object the check needs.

        Raises:
            SeedFailed: the VTN does not create it.
        """
        answer = await actor.send("POST", path, body=body, step=Purpose.SEED)
        try:
            return answer.expect(201).object()
        except Mismatch as mismatch:
            raise SeedFailed(f"to create {path} for the check", mismatch.got, mismatch.exchange) from mismatch

    async def program(self, **members: Any) -> Obj:
        """Return a program of our own."""
        return await self.seed(self.bl, "/programs", bodies.program(self.name("program"), **members))

    async def event(self, program: Obj | None = None, **members: Any) -> Obj:
        """Return an event, in a program of its own unless one is given."""
        program = program or await self.program()
        return await self.seed(self.bl, "/events", bodies.event(program["id"], **members))

    async def ready(self, actor: Actor) -> None:
        """See to it that a VEN has a ven: without one some VTNs take nothing from it."""
        if actor.name not in self._readied and actor is not self.bl:
            self._readied[actor.name] = await self.enrol(actor)

    async def own_ven(self, actor: Actor) -> Obj:
        """Return the ven object of a VEN, which it has from now on if it had none."""
        await self.ready(actor)
        return self._readied[actor.name]

    async def report(self, actor: Actor, event: Obj | None = None, **members: Any) -> Obj:
        """Return a report by a VEN, for an event of its own unless one is given."""
        await self.ready(actor)
        event = event or await self.event()
        return await self.seed(actor, "/reports", bodies.report(event["id"], **members))

    def subscription_body(self, **members: Any) -> Obj:
        """Return a plain subscription; without entries where the VTN verifies callback URLs and none was given."""
        try:
            url = self.callback_url
        except Skipped:
            url = ""
        return bodies.subscription(self.name("client"), url, **members)

    async def subscription(self, actor: Actor, **members: Any) -> Obj:
        """Return a subscription.

        Raises:
            SeedFailed: the VTN does not create it.
            Skipped: nor could it, for there is no callback URL to put into it.
        """
        await self.ready(actor)
        body = self.subscription_body(**members)
        try:
            return await self.seed(actor, "/subscriptions", body)
        except SeedFailed:
            if not body["objectOperations"]:
                _ = self.callback_url
            raise

    async def enrol(self, actor: Actor, **members: Any) -> Obj:
        """Return the ven object of a VEN, made by business logic so that it can have targets."""
        if readied := self._readied.pop(actor.name, None):
            await self.bl.send("DELETE", f"/vens/{readied['id']}", step=Purpose.SEED)
        ven = await self._enrol(actor, **members)
        self._readied[actor.name] = ven
        return ven

    async def _enrol(self, actor: Actor, **members: Any) -> Obj:
        if not self.session.dialect.names_owners:
            return await self._enrol_by_itself(actor, **members)
        body = bodies.bl_ven(actor.client_id, self.name("ven"), **members)
        try:
            return await self.seed(self.bl, "/vens", body)
        except SeedFailed as failure:
            if failure.exchange is None or failure.exchange.status != 409:
                raise
            await self._forget(actor)
            return await self.seed(self.bl, "/vens", body)

    async def _enrol_by_itself(self, actor: Actor, **members: Any) -> Obj:
        """Return a ven that a VEN registers, and business logic grants targets: where no ven names its client."""
        ven = await self.seed(actor, "/vens", bodies.ven_ven(self.name("ven")))
        self.session.dialect.owns(ven["id"], actor.client_id)
        if not members:
            return ven | {"clientID": actor.client_id}
        body = bodies.bl_ven(actor.client_id, ven["venName"], **members)
        answer = await self.bl.send("PUT", f"/vens/{ven['id']}", body=body, step=Purpose.SEED)
        return answer.expect(200).object()

    async def some_ven(self, **members: Any) -> Obj:
        """Return a ven object of a client that exists only by name."""
        return await self.seed(self.bl, "/vens", bodies.bl_ven(self.name("client"), self.name("ven"), **members))

    async def resource(self, ven: Obj, **members: Any) -> Obj:
        """Return a resource of a ven, made by business logic."""
        body = bodies.bl_resource(ven["clientID"], ven["id"], self.name("resource"), **members)
        return await self.seed(self.bl, "/resources", body)

    async def own_resource(self, actor: Actor, ven: Obj, **members: Any) -> Obj:
        """Return a resource that a VEN made itself."""
        return await self.seed(actor, "/resources", bodies.ven_resource(ven["id"], self.name("resource"), **members))

    async def all(self, actor: Actor, path: str, query: Query = ()) -> list[Obj]:
        """Return every object of a search, page by page."""
        pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
        found: list[Obj] = []
        seen: set[str] = set()
        for _ in range(_PAGES):
            answer = await actor.get(path, [*pairs, ("skip", str(len(found))), ("limit", "50")])
            items = answer.expect(200).array()
            ids = {str(item.get("id")) for item in items}
            if ids <= seen:  # there are no more, or skip is ignored
                break
            seen |= ids
            found += items
        return found

    async def clean_up(self) -> list[str]:
        """Delete everything the check created, newest first; what could not be deleted, in words."""
        self.step = Purpose.CLEANUP
        for link in self._links:
            await link.close()
        if self.session.callbacks is not None:
            for callback in self._callbacks:
                self.session.callbacks.close(callback)
        problems = []
        while self.made:
            made = self.made.pop()
            try:
                answer = await made.by.delete(made.path)
            except Unreachable as error:
                problems.append(str(error))
                continue
            if answer.status not in {200, 404}:
                problems.append(f"DELETE {made.path}: {answer.status}")
        return problems

    async def _forget(self, actor: Actor) -> None:
        """Delete the ven an interrupted run of ours has left for this client."""
        found = await actor.send("GET", "/vens", step=Purpose.SEED)
        for ven in found.expect(200).array():
            if is_ours(ven, "venName"):
                await self.bl.send("DELETE", f"/vens/{ven['id']}", step=Purpose.SEED)

    def _need(self, need: str) -> None:
        if need not in self._needs:
            raise RuntimeError(f"{self.key} uses {need} and does not say so")
