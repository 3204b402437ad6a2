"""Every method of every store, called by somebody who may see nothing: who asks is an argument that counts."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from openadr_profiles.v31 import (
    BlResourceRequest,
    BlVenRequest,
    EventRequest,
    Invalid,
    ProgramRequest,
    ReportRequest,
    ResourceGroupRequest,
    SubscriptionRequest,
    VenResourceRequest,
    VenVenRequest,
)
from tests.vtn.harness import VtnUnderTest
from vtn.access import DEFAULT_SCOPES, Caller, Role
from vtn.errors import Forbidden, NotFound
from vtn.notification_settings import Webhook
from vtn.notify.callback import Callbacks
from vtn.notify.url_judge import UrlJudge
from vtn.settings import Privacy, ResourceGroups
from vtn.store.event import EventStore
from vtn.store.objects import Objects
from vtn.store.outbox.notes import Notes
from vtn.store.program import ProgramStore
from vtn.store.query import (
    EventQuery,
    ProgramQuery,
    ReportQuery,
    ResourceGroupQuery,
    ResourceQuery,
    SubscriptionQuery,
    VenQuery,
)
from vtn.store.report import ReportStore
from vtn.store.resource import ResourceStore
from vtn.store.resource_group import ResourceGroupStore
from vtn.store.subscription import SubscriptionStore
from vtn.store.ven import VenStore
from vtn.store.visibility import Visibility

STRANGER = Caller("stranger", Role.VEN, DEFAULT_SCOPES[Role.VEN])

Attempt = Callable[[Any, dict[str, str]], Awaitable[object]]

REFUSED: dict[type[Objects], dict[str, Attempt]] = {
    ProgramStore: {
        "get": lambda store, ids: store.get(ids["program"], visible_to=STRANGER),
        "is_targeted": lambda store, ids: store.is_targeted(ids["program"], visible_to=STRANGER),
        "create": lambda store, _: store.create(ProgramRequest(program_name="n"), by=STRANGER),
        "replace": lambda store, ids: store.replace(ids["program"], ProgramRequest(program_name="n"), by=STRANGER),
        "delete": lambda store, ids: store.delete(ids["program"], by=STRANGER),
    },
    EventStore: {
        "get": lambda store, ids: store.get(ids["event"], visible_to=STRANGER),
        "create": lambda store, ids: store.create(EventRequest(program_id=ids["program"]), by=STRANGER),
        "replace": lambda store, ids: store.replace(ids["event"], EventRequest(program_id=ids["program"]), by=STRANGER),
        "delete": lambda store, ids: store.delete(ids["event"], by=STRANGER),
    },
    ReportStore: {
        "get": lambda store, ids: store.get(ids["report"], visible_to=STRANGER),
        "create": lambda store, ids: store.create(
            ReportRequest(event_id=ids["event"], client_name="n", resources=()), by=STRANGER
        ),
        "replace": lambda store, ids: store.replace(
            ids["report"], ReportRequest(event_id=ids["event"], client_name="n", resources=()), by=STRANGER
        ),
        "program_of": lambda store, ids: store.program_of(ids["report"], visible_to=STRANGER),
        "delete": lambda store, ids: store.delete(ids["report"], by=STRANGER),
    },
    SubscriptionStore: {
        "get": lambda store, ids: store.get(ids["subscription"], visible_to=STRANGER),
        "create": lambda store, ids: store.create(a_subscription(ids), by=STRANGER),
        "replace": lambda store, ids: store.replace(ids["subscription"], a_subscription(ids), by=STRANGER),
        "delete": lambda store, ids: store.delete(ids["subscription"], by=STRANGER),
    },
    VenStore: {
        "get": lambda store, ids: store.get(ids["ven"], visible_to=STRANGER),
        "check": lambda store, ids: store.check(ids["ven"], visible_to=STRANGER),
        "create": lambda store, _: store.create(BlVenRequest(client_id="c", ven_name="n"), by=STRANGER),
        "replace": lambda store, ids: store.replace(ids["ven"], VenVenRequest(ven_name="n"), by=STRANGER),
        "delete": lambda store, ids: store.delete(ids["ven"], by=STRANGER),
    },
    ResourceStore: {
        "get": lambda store, ids: store.get(ids["resource"], visible_to=STRANGER),
        "create": lambda store, ids: store.create(
            VenResourceRequest(resource_name="n", ven_id=ids["ven"]), by=STRANGER
        ),
        "replace": lambda store, ids: store.replace(
            ids["resource"], VenResourceRequest(resource_name="n"), by=STRANGER
        ),
        "delete": lambda store, ids: store.delete(ids["resource"], by=STRANGER),
    },
    ResourceGroupStore: {
        "get": lambda store, ids: store.get(ids["group"], visible_to=STRANGER),
        "create": lambda store, _: store.create(ResourceGroupRequest(resource_group_name="n"), by=STRANGER),
        "replace": lambda store, ids: store.replace(
            ids["group"], ResourceGroupRequest(resource_group_name="n"), by=STRANGER
        ),
        "delete": lambda store, ids: store.delete(ids["group"], by=STRANGER),
    },
}


def a_subscription(ids: dict[str, str]) -> SubscriptionRequest:
    """To a program that a stranger does not see."""
    return SubscriptionRequest(client_name="n", program_id=ids["program"], object_operations=())


SEARCHES: dict[type[Objects], Any] = {
    ProgramStore: ProgramQuery(),
    EventStore: EventQuery(),
    ReportStore: ReportQuery(),
    SubscriptionStore: SubscriptionQuery(),
    VenStore: VenQuery(),
    ResourceStore: ResourceQuery(),
    ResourceGroupStore: ResourceGroupQuery(),
}

WITHOUT_READER = {
    "audience": "says whom an answer is made for, and gives none",
    "create_all_in": "stores vens of a list that business logic gives, in its transaction",
    "tell_again": "tells those who see an event already, in the transaction of an operator who reminds them",
    "create_in": "stores what the server itself makes of an enrolment; business logic asked for it",
    "id_named": "gives the program that the server itself keeps its own events in",
    "id_of": "gives the ven of a client that the server names itself",
    "of_vens": "leaves out what a stranger does not see: test_a_stranger_finds_nothing_below_a_ven",
    "sums_of_vens": "the same, and says only how much that is",
    "public_names": "gives what everybody may see",
    "remove_before": "the server's own housekeeping, on nobody's behalf",
}

ATTEMPTS = [(store, method) for store, attempts in REFUSED.items() for method in attempts]


def a_store(vtn: VtnUnderTest, store: type[Objects]) -> Any:
    """A store on the database of a server."""
    database, stamps = vtn.server._database, vtn.server._stamps
    callbacks = Callbacks(UrlJudge(Webhook()))
    might_need = {
        "visibility": Visibility(database, Privacy()),
        "vault": vtn.server._vault,
        "verify": callbacks.verify,
        "max_per_client": 1,
        "limits": ResourceGroups(),
    }
    needs: dict[str, Any] = {
        name: value for name, value in might_need.items() if name in inspect.signature(store).parameters
    }
    return store(database, stamps, Notes(database, stamps, Privacy()), **needs)


async def some_objects(vtn: VtnUnderTest) -> dict[str, str]:
    """One object of every kind, none of them for a stranger."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program(targets=["t"])
    ven = await bl.ven_for(home, ["t"])
    event = await bl.event(program, targets=["t"])
    report, resource = await home.report(event), await home.resource(ven)
    subscription = (await home.post("/subscriptions", {"clientName": "c", "objectOperations": []})).ok(201)
    group = await bl.group(resource)
    return {
        "group": group["id"],
        "subscription": subscription["id"],
        "program": program["id"],
        "event": event["id"],
        "report": report["id"],
        "ven": ven["id"],
        "resource": resource["id"],
    }


async def everything(vtn: VtnUnderTest) -> list[bytes]:
    """All objects as business logic reads them."""
    return [
        (await vtn.bl.get(f"/{name}")).raw
        for name in ("programs", "events", "reports", "subscriptions", "vens", "resources", "resource_groups")
    ]


@pytest.mark.parametrize(("store", "method"), ATTEMPTS, ids=lambda value: getattr(value, "__name__", value))
async def test_a_stranger_is_refused(vtn: VtnUnderTest, store: type[Objects], method: str) -> None:
    """PRIV-010, PRIV-017, PRIV-018, REPORT-005: and everything stays as it was."""
    ids = await some_objects(vtn)
    before = await everything(vtn)

    with pytest.raises((NotFound, Forbidden, Invalid)) as refusal:
        await REFUSED[store][method](a_store(vtn, store), ids)

    assert refusal.type is NotFound or method in {"create", "check"}
    assert await everything(vtn) == before


@pytest.mark.parametrize("store", SEARCHES, ids=lambda store: store.__name__)
async def test_a_stranger_finds_nothing(vtn: VtnUnderTest, store: type[Objects]) -> None:
    """PRIV-005 … PRIV-009, PRIV-017."""
    await some_objects(vtn)

    assert await a_store(vtn, store).search(SEARCHES[store], visible_to=STRANGER) == []


async def test_a_stranger_finds_nothing_below_a_ven(vtn: VtnUnderTest) -> None:
    """PRIV-017, V301-028."""
    ven_id = (await some_objects(vtn))["ven"]
    store = a_store(vtn, ResourceStore)

    assert await store.of_vens([ven_id], visible_to=STRANGER) == {ven_id: ()}
    assert await store.sums_of_vens([ven_id], visible_to=STRANGER) == {}


@pytest.mark.parametrize("store", REFUSED, ids=lambda store: store.__name__)
def test_no_method_is_forgotten(store: type[Objects]) -> None:
    """A method that is added needs a row here, and asks who is calling; so does every store that is added."""
    public = {
        name: method
        for name, method in inspect.getmembers(store, inspect.iscoroutinefunction)
        if not name.startswith("_") and name not in WITHOUT_READER
    }

    assert set(REFUSED) == set(SEARCHES) == set(Objects.__subclasses__())
    assert set(public) == {*REFUSED[store], "search"}
    for method in public.values():
        assert {"by", "visible_to"} & set(inspect.signature(method).parameters)


async def test_what_is_public_is_what_everybody_sees(vtn: VtnUnderTest) -> None:
    """MDNS-005: names of programs without targets only."""
    await some_objects(vtn)
    shown = await vtn.bl.program()

    assert list(await a_store(vtn, ProgramStore).public_names()) == [shown["programName"]]


async def test_a_stranger_may_not_take_the_form_of_business_logic(vtn: VtnUnderTest) -> None:
    """VEN-006, RES-008: also where the object is its own."""
    home = vtn.home()
    ven = await home.ven()
    resource = await home.resource(ven)
    reader = Caller(home.client_id, Role.VEN, DEFAULT_SCOPES[Role.VEN])
    bl_ven = BlVenRequest(client_id=home.client_id, ven_name="n", targets=("all",))
    bl_resource = BlResourceRequest(resource_name="n", ven_id=ven["id"], targets=("all",))

    with pytest.raises(Forbidden):
        await a_store(vtn, VenStore).replace(ven["id"], bl_ven, by=reader)
    with pytest.raises(Forbidden):
        await a_store(vtn, ResourceStore).replace(resource["id"], bl_resource, by=reader)
    with pytest.raises(Forbidden):
        await a_store(vtn, ResourceStore).create(bl_resource, by=reader)
