"""The ledger's judge sees what is wrong: each fault is put into what was received, and found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.ledger import verdict
from tests.e2e.ledger.audit import Change
from tests.e2e.ledger.entitled import Entitled
from tests.e2e.ledger.verdict import Heard

URL = "https://home-1.example/hook"
BL_URL = "https://utility.example/hook"
BL = "utility"
ENTRY = {"objects": ["EVENT"], "operations": ["CREATE", "UPDATE", "DELETE"]}

Records = dict[str, list[Heard]]


def row(object_id: str, at: int, **columns: Any) -> dict[str, Any]:
    """A row as the database notes it: `members` is JSON without braces."""
    members = json.dumps(columns.pop("members", {"note": f"{object_id} {at}"}))[1:-1]
    return {"id": object_id, "modified_at": f"t{at}", "members": members, **columns}


def change(
    at: float,
    object_type: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    *,
    began: float | None = None,
) -> Change:
    """A transaction with one change."""
    operation = "CREATE" if before is None else "DELETE" if after is None else "UPDATE"
    return Change(f"x{at}", at if began is None else began, at, object_type, operation, before, after)


def subscription(object_id: str, client_id: str, url: str, *targets: str) -> dict[str, Any]:
    """A subscription to events."""
    members = {"objectOperations": [ENTRY | {"callbackUrl": url}]}
    return row(object_id, 0, client_id=client_id, program_id=None, targets=list(targets), members=members)


def event(at: int, *targets: str) -> dict[str, Any]:
    """A version of the event of these tests."""
    return row("event", at, program_id="program", targets=list(targets))


VEN = row("ven", 0, client_id="home-1", targets=["north"])
WORLD = [
    change(1, "PROGRAM", None, row("program", 0, targets=[])),
    change(2, "VEN", None, VEN),
    change(3, "SUBSCRIPTION", None, subscription("s1", "home-1", URL)),
    change(4, "SUBSCRIPTION", None, subscription("s2", BL, BL_URL)),
]
SEEN = event(10, "north", "south")
LATER = event(20, "south", "north")
HIDDEN = event(30, "south")
CHANGES = [
    *WORLD,
    change(10, "EVENT", None, SEEN),
    change(20, "EVENT", SEEN, LATER),
    change(30, "EVENT", LATER, HIDDEN),
    change(40, "EVENT", HIDDEN, None),
]


def heard(operation: str, version: dict[str, Any], targets: list[str]) -> Heard:
    """Return what a right server sends."""
    members = json.loads(f"{{{version['members']}}}")
    own = {"id": version["id"], "objectType": "EVENT", "modificationDateTime": version["modified_at"]}
    return Heard(operation, "EVENT", {**own, **members, "targets": targets})


def right() -> Records:
    """Return what a right server sends to the two subscriptions."""
    return {
        URL: [heard("CREATE", SEEN, ["north"]), heard("UPDATE", LATER, ["north"]), heard("DELETE", LATER, ["north"])],
        BL_URL: [
            heard("CREATE", SEEN, ["north", "south"]),
            heard("UPDATE", LATER, ["south", "north"]),
            heard("UPDATE", HIDDEN, ["south"]),
            heard("DELETE", HIDDEN, ["south"]),
        ],
    }


def judged(records: Records, changes: list[Change] = CHANGES) -> list[str]:
    """Return what is wrong at the two callback URLs."""
    return verdict.problems(Entitled(changes, frozenset({BL})).webhooks(), records)


def test_what_is_right_is_right_and_may_come_again_from_where_it_was_not_recorded() -> None:
    """SUBS-026, SUBS-027: who sees it no more hears DELETE with what was shown before."""
    assert judged(right()) == []
    again = right()
    again[BL_URL] = [*again[BL_URL][:3], *again[BL_URL][1:]]
    assert judged(again) == []


FAULTS: dict[str, tuple[Callable[[Records], Any], str]] = {
    "lost": (lambda found: found[URL].pop(1), "never heard of UPDATE"),
    "last one lost": (lambda found: found[BL_URL].pop(), "never heard of DELETE"),
    "to nobody at all": (lambda found: found.clear(), "never heard of CREATE"),
    "hidden object": (lambda found: found[URL].append(found[BL_URL][2]), "is not entitled to UPDATE"),
    "hidden target": (
        lambda found: found[URL].__setitem__(0, heard("CREATE", SEEN, ["north", "south"])),
        "shows the targets",
    ),
    "another version's text": (
        lambda found: found[URL].__setitem__(0, heard("CREATE", SEEN | {"members": LATER["members"]}, ["north"])),
        "has note 'event 20'",
    ),
    "never happened": (lambda found: found[URL].append(heard("UPDATE", event(99, "north"), [])), "never happened"),
    "turned round": (lambda found: found[BL_URL].reverse(), "came in the order"),
    "jumps after a repetition": (
        lambda found: found[BL_URL].__setitem__(slice(None), [found[BL_URL][n] for n in (0, 1, 2, 0, 2, 3)]),
        "came in the order",
    ),
    "ends with an older one": (lambda found: found[BL_URL].append(found[BL_URL][1]), "ends with an older version"),
    "another kind": (
        lambda found: found[URL].__setitem__(0, Heard("CREATE", "PROGRAM", found[URL][0].object)),
        "is called PROGRAM",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    """At least once, in order, to whoever is entitled and to nobody else."""
    put_in, expected = FAULTS[fault]
    found = right()
    put_in(found)
    assert any(expected in problem for problem in judged(found)), judged(found)


def test_what_nobody_can_know_is_right_either_way() -> None:
    """Grants were committed while the event was: it was seen with them or without, and both may be delivered."""
    other = VEN | {"targets": [], "modified_at": "t9"}
    changes = [*WORLD, change(9, "VEN", VEN, other), change(10, "EVENT", None, SEEN, began=8)]
    bl_only = {BL_URL: right()[BL_URL][:1]}
    assert judged(bl_only, changes) == []
    assert judged(bl_only | {URL: right()[URL][:1]}, changes) == []


def test_either_of_two_operations_that_may_be_right_has_its_own_text() -> None:
    """The event left the targets of a ven that was just given another: DELETE with the old view, or UPDATE."""
    changes = [*CHANGES[:6], change(29.9, "VEN", VEN, VEN | {"targets": ["south"], "modified_at": "t9"}), CHANGES[6]]
    known = right()[URL][:2]
    for last in (heard("DELETE", LATER, ["north"]), heard("UPDATE", HIDDEN, ["south"])):
        assert judged({URL: [*known, last], BL_URL: right()[BL_URL][:3]}, changes) == []


def test_a_subscription_that_is_gone_need_not_be_told_and_one_that_asks_for_targets_is_told_of_them() -> None:
    """SUBS-015, SUBS-024, SUBS-025."""
    s1, s3 = subscription("s1", "home-1", URL), subscription("s3", "home-1", "https://a.example", "south")
    gone = [*CHANGES[:5], change(11, "SUBSCRIPTION", s1, None)]
    assert judged({BL_URL: right()[BL_URL][:1]}, gone) == []
    back = [*gone, change(12, "SUBSCRIPTION", None, s1)]
    assert judged({BL_URL: right()[BL_URL][:1]}, back) == []
    gone_before = [*WORLD, change(5, "SUBSCRIPTION", s1, None), change(6, "SUBSCRIPTION", None, s1), CHANGES[4]]
    assert judged({BL_URL: right()[BL_URL][:1]}, gone_before) != []
    asking = [*WORLD, change(5, "SUBSCRIPTION", None, s3), change(10, "EVENT", None, SEEN)]
    assert "https://a.example" not in Entitled(asking, frozenset({BL})).webhooks()


def test_topics_are_those_of_the_table() -> None:
    """MQTT-015, MQTT-021, MQTT-022: a targeted event is never public, and each ven's tree has what it sees."""
    due = Entitled(CHANGES, frozenset({BL})).topics()
    events = {topic: [one.messages[0].operation for one in found] for topic, found in due.items() if "event" in topic}
    assert events == {
        "events/create": ["CREATE"],
        "events/programs/program/create": ["CREATE"],
        "vens/ven/events/create": ["CREATE"],
        "vens/ven/programs/program/events/create": ["CREATE"],
        "events/update": ["UPDATE", "UPDATE"],
        "events/programs/program/update": ["UPDATE", "UPDATE"],
        "vens/ven/events/update": ["UPDATE"],
        "vens/ven/programs/program/events/update": ["UPDATE"],
        "vens/ven/events/delete": ["DELETE"],
        "vens/ven/programs/program/events/delete": ["DELETE"],
        "events/delete": ["DELETE"],
        "events/programs/program/delete": ["DELETE"],
    }
