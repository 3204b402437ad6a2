"""Names of MQTT topics: one table for discovery and for publishing (MQTT-013 … MQTT-022)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from vtn.notify.topics import TopicNames, Tree, for_everybody
from vtn.store.outbox.rows import Delivery, Notification, Operation, Version

NAMES = TopicNames("x/")
OPERATIONS = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
NO_CREATE = {Tree.PROGRAM, Tree.PUBLIC_PROGRAM, Tree.VEN_PROGRAM, Tree.VEN}


def version(targets: tuple[str, ...] | None = (), program_targets: tuple[str, ...] = ()) -> Version:
    """An object at one moment."""
    return Version("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", targets, program_targets, "")


def delivery(
    kind: str,
    operation: Operation,
    now: Version | None = None,
    *,
    told: Operation | None = None,
    vens: tuple[str, ...] | None = None,
    before: Version | None = None,
    **ids: Any,
) -> Delivery:
    """A change of an object, to be told as `told`."""
    where = {"object_id": "o", "client_id": None, "program_id": None, "ven_id": None} | ids
    notification = Notification(
        seq=1,
        noted_at="2026-01-01T00:00:00Z",
        object_type=kind,
        operation=operation,
        targets_inside=False,
        has_tokens=False,
        now=now or version(),
        before=before,
        **where,
    )
    held = None if vens is None else ("t",)
    return Delivery(1, "mqtt", notification, told or operation, held, vens, 0)


def published(of: Delivery) -> list[str]:
    """The topics of a delivery, as the channel goes through them."""
    public = for_everybody(of)
    return [*(NAMES.of(public) if public is not None else ()), *NAMES.of(of)]


PUBLIC, TARGETED = version(), version(("t",))
IN_TARGETED_PROGRAM = version((), ("t",))

WHERE: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    # The rows of table 9.3: (kind, delivery, trees, trees without creation)
    ("PROGRAM", {"now": PUBLIC}, ["programs", "public/programs"], ["programs/o", "public/programs/o"]),
    ("PROGRAM", {"now": TARGETED}, ["programs"], ["programs/o"]),
    (
        "PROGRAM",
        {"now": TARGETED, "vens": ("v1", "v2")},
        ["vens/v1/programs", "vens/v2/programs"],
        ["vens/v1/programs/o", "vens/v2/programs/o"],
    ),
    (
        "EVENT",
        {"now": PUBLIC, "program_id": "p"},
        ["events", "events/programs/p", "public/events/programs/p"],
        [],
    ),
    ("EVENT", {"now": TARGETED, "program_id": "p"}, ["events", "events/programs/p"], []),
    ("EVENT", {"now": IN_TARGETED_PROGRAM, "program_id": "p"}, ["events", "events/programs/p"], []),
    (
        "EVENT",
        {"now": TARGETED, "program_id": "p", "vens": ("v1", "v2")},
        ["vens/v1/events", "vens/v2/events", "vens/v1/programs/p/events", "vens/v2/programs/p/events"],
        [],
    ),
    ("REPORT", {"now": version(None), "program_id": "p"}, ["reports"], []),
    ("SUBSCRIPTION", {}, ["subscriptions"], []),
    ("VEN", {"now": TARGETED, "ven_id": "o"}, ["vens"], ["vens/o"]),
    ("RESOURCE", {"now": TARGETED, "ven_id": "v"}, ["resources", "vens/v/resources"], []),
    ("RESOURCE", {"now": TARGETED}, ["resources"], []),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("kind", "change", "trees", "but_not_creation"), WHERE)
def test_each_change_goes_where_the_table_says(
    kind: str, change: dict[str, Any], trees: list[str], but_not_creation: list[str], operation: Operation
) -> None:
    """MQTT-021, MQTT-022, MQTT-025: a resource whose client is not its ven's has no ven (R-23)."""
    if operation is not Operation.CREATE:
        trees = trees + but_not_creation

    topics = published(delivery(kind, operation, **change))

    assert sorted(topics) == sorted(f"x/{tree}/{operation.lower()}" for tree in trees)


def test_what_is_public_no_more_is_removed_from_everybodys_topics_only() -> None:
    """SUBS-027, MQTT-027: business logic hears of the update, and of nothing else."""
    program = delivery("PROGRAM", Operation.UPDATE, TARGETED, before=PUBLIC)
    event = delivery("EVENT", Operation.UPDATE, TARGETED, before=replace(PUBLIC, program_id="q"), program_id="p")

    assert published(program) == [
        *("x/public/programs/delete", "x/public/programs/o/delete"),
        *("x/programs/update", "x/programs/o/update"),
    ]
    assert published(event) == ["x/public/events/programs/q/delete", "x/events/update", "x/events/programs/p/update"]


@pytest.mark.parametrize("before", [None, PUBLIC, TARGETED])
def test_what_is_public_now_is_told_to_everybody_as_an_update(before: Version | None) -> None:
    """SUBS-027, MQTT-027: whether or not it was public before; as who holds no targets sees it (EVT-020)."""
    event = delivery("EVENT", Operation.UPDATE, PUBLIC, before=before, program_id="p")

    told = for_everybody(event)

    assert told is not None
    assert (told.operation, told.held) == (Operation.UPDATE, ())
    assert "x/public/events/programs/p/update" in published(event)


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.DELETE])
def test_nothing_is_told_to_everybody_of_what_never_was_public(operation: Operation) -> None:
    """MQTT-022."""
    assert for_everybody(delivery("PROGRAM", operation, TARGETED)) is None
    assert for_everybody(delivery("PROGRAM", Operation.UPDATE, TARGETED, before=TARGETED)) is None


def test_who_cannot_see_it_any_more_is_told_of_a_removal() -> None:
    """SUBS-027, MQTT-027."""
    hidden = delivery("PROGRAM", Operation.UPDATE, TARGETED, told=Operation.DELETE, vens=("v1",))

    assert published(hidden) == ["x/vens/v1/programs/delete", "x/vens/v1/programs/o/delete"]


@pytest.mark.parametrize("kind", ["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"])
def test_reading_is_never_published(kind: str) -> None:
    """MQTT-031."""
    assert published(delivery(kind, Operation.READ, ven_id="v", program_id="p")) == []


@pytest.mark.parametrize("tree", Tree)
def test_discovery_names_the_operations_that_can_happen_and_all_of_them(tree: Tree) -> None:
    """MQTT-008, COMPAT-081."""
    found = NAMES.answer(tree, program_id="p", ven_id="v")

    base = "x/" + tree.format(program="p", ven="v")
    expected = {each.value: f"{base}/{each.lower()}" for each in OPERATIONS} | {"ALL": f"{base}/+"}
    if tree in NO_CREATE:
        del expected["CREATE"]
    assert found == expected


def test_every_topic_that_is_published_can_be_discovered() -> None:
    """MQTT-013: and every one that can be discovered is published."""
    ids: dict[str, Any] = {"program_id": "p", "ven_id": "v"}
    announced = {topic for tree in Tree for operation, topic in NAMES.answer(tree, **ids).items() if operation != "ALL"}

    found: set[str] = set()
    for operation in OPERATIONS:
        for vens in (None, ("v",)):
            for kind, object_id in (("PROGRAM", "p"), ("EVENT", "e"), ("VEN", "v")):
                found.update(published(delivery(kind, operation, vens=vens, object_id=object_id, **ids)))
        for kind in ("REPORT", "SUBSCRIPTION", "RESOURCE"):
            found.update(published(delivery(kind, operation, **ids)))

    assert found == announced
