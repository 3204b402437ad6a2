"""Answer how clients are told of changes: /notifiers, and the topics of MQTT (M33 … M45)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from aiohttp import web

from openadr_profiles.v31 import encode
from vtn.access import ANY_CLIENT, READ_ANY, READ_EVERYTHING, READ_OWNED, Caller, business_logic_only
from vtn.api.collection import Call, Route
from vtn.errors import NotFound
from vtn.http.responses import MEDIA_TYPE
from vtn.notification_settings import Mqtt
from vtn.notify.topics import TopicNames, Tree
from vtn.settings import Privacy
from vtn.store.program import ProgramStore
from vtn.store.ven import VenStore

Authentication: TypeAlias = Callable[[Caller], Awaitable[object]]
"""Return how a caller proves to the broker who it is, as ``authentication`` of the MQTT binding (MQTT-004)."""

Announce: TypeAlias = Callable[[Call], object]
"""Returns what the caller of a request is told of a way to be told of changes."""

_TOPICS: Final = "/notifiers/mqtt/topics"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_NO_BROKER: Final = "this server publishes to no MQTT broker"


def routes(
    mqtt: Mqtt | None,
    privacy: Privacy,
    programs: ProgramStore,
    vens: VenStore,
    authentication: Authentication | None,
    websocket: Announce,
) -> tuple[Route, ...]:
    """Return the routes. Without a broker, all topics are answered 404 (MQTT-006)."""
    notifiers = _Notifiers(mqtt, authentication, websocket)
    topics = _Topics(mqtt, privacy, programs, vens)
    return (
        Route("GET", "/notifiers", notifiers.list, ANY_CLIENT),
        Route("GET", f"{_TOPICS}/programs", topics.programs, READ_ANY),
        Route("GET", f"{_TOPICS}/programs/{{id}}", topics.program, READ_ANY),
        Route("GET", f"{_TOPICS}/programs/{{id}}/events", topics.program_events, READ_ANY),
        *(
            Route("GET", f"{_TOPICS}/{tree}", topics.for_business_logic(tree), READ_EVERYTHING)
            for tree in (Tree.EVENTS, Tree.REPORTS, Tree.SUBSCRIPTIONS, Tree.VENS, Tree.RESOURCES)
        ),
        Route("GET", f"{_TOPICS}/vens/{{id}}", topics.of_a_ven(Tree.VEN), READ_OWNED),
        Route("GET", f"{_TOPICS}/vens/{{id}}/events", topics.of_a_ven(Tree.VEN_EVENTS), READ_OWNED),
        Route("GET", f"{_TOPICS}/vens/{{id}}/programs", topics.of_a_ven(Tree.VEN_PROGRAMS), READ_OWNED),
        Route("GET", f"{_TOPICS}/vens/{{id}}/resources", topics.of_a_ven(Tree.VEN_RESOURCES), READ_OWNED),
    )


class _Notifiers:
    """The ways of telling that this server has. What it says of the broker may be a secret of the caller's."""

    def __init__(self, mqtt: Mqtt | None, authentication: Authentication | None, websocket: Announce) -> None:
        self._mqtt = mqtt
        self._authentication = authentication
        self._websocket = websocket

    async def list(self, call: Call) -> web.StreamResponse:
        """Answer with all of them (MQTT-001 … MQTT-005)."""
        found: dict[str, Any] = {"WEBHOOK": True, "WEBSOCKET": self._websocket(call)}
        if self._mqtt is not None and self._authentication is not None:
            found["MQTT"] = {
                "URIS": self._mqtt.uris,
                "serialization": "JSON",
                "authentication": await self._authentication(call.caller),
            }
        return _answer(found)


class _Topics:
    """The names of topics, as far as they concern the caller."""

    def __init__(self, mqtt: Mqtt | None, privacy: Privacy, programs: ProgramStore, vens: VenStore) -> None:
        self._names = None if mqtt is None else TopicNames(mqtt.prefix)
        self._events_follow_program = privacy.events_follow_program
        self._programs = programs
        self._vens = vens

    async def programs(self, call: Call) -> web.StreamResponse:
        """Answer where all programs are told of; to a VEN, all that everybody may see (MQTT-011, R-33)."""
        return self._answer(Tree.PROGRAMS if call.caller.sees_everything else Tree.PUBLIC_PROGRAMS)

    async def program(self, call: Call) -> web.StreamResponse:
        """Answer where one program is told of."""
        tree, ids = await self._of_a_program(call, Tree.PROGRAM, Tree.PUBLIC_PROGRAM, Tree.VEN_PROGRAM)
        return self._answer(tree, **ids)

    async def program_events(self, call: Call) -> web.StreamResponse:
        """Answer where the events of a program are told of.

        To a VEN: those of them that everybody may see, if there can be any; otherwise those that it may see.
        """
        hidden = Tree.VEN_PROGRAM_EVENTS if self._events_follow_program else Tree.PUBLIC_PROGRAM_EVENTS
        tree, ids = await self._of_a_program(call, Tree.PROGRAM_EVENTS, Tree.PUBLIC_PROGRAM_EVENTS, hidden)
        return self._answer(tree, **ids)

    def for_business_logic(self, tree: Tree) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        """Return the handler of a tree that no VEN may read, whatever its scopes (MQTT-010)."""

        async def handle(call: Call) -> web.StreamResponse:
            business_logic_only(call.caller)
            return self._answer(tree)

        return handle

    def of_a_ven(self, tree: Tree) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        """Return the handler of a tree of one ven, which its own VEN may read and business logic (MQTT-009)."""

        async def handle(call: Call) -> web.StreamResponse:
            self._check_for_a_broker()
            ven_id = call.object_id
            await self._vens.check(ven_id, visible_to=call.caller)
            return self._answer(tree, ven_id=ven_id)

        return handle

    async def _of_a_program(self, call: Call, all_: Tree, public: Tree, hidden: Tree) -> tuple[Tree, dict[str, str]]:
        """Return the tree of a program's topics for the caller, and the ids in it; raises NotFound if it is hidden."""
        self._check_for_a_broker()
        program_id = call.object_id
        is_targeted = await self._programs.is_targeted(program_id, visible_to=call.caller)
        if call.caller.sees_everything:
            return all_, {"program_id": program_id}
        if not is_targeted:
            return public, {"program_id": program_id}
        ven_id = await self._vens.id_of(call.caller.client_id)
        return hidden, {"program_id": program_id, "ven_id": ven_id}

    def _check_for_a_broker(self) -> TopicNames:
        if self._names is None:
            raise NotFound(_NO_BROKER)
        return self._names

    def _answer(self, tree: Tree, *, program_id: str = "", ven_id: str = "") -> web.StreamResponse:
        names = self._check_for_a_broker()
        return _answer({"topics": names.answer(tree, program_id=program_id, ven_id=ven_id)})


def _answer(document: object) -> web.StreamResponse:
    """Return an answer that is for this caller at this moment only (MQTT-005)."""
    return web.Response(body=encode(document), content_type=MEDIA_TYPE, headers=_NO_STORE)
