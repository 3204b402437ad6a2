"""Object privacy over HTTP: the worked example of requirements section 6, for events and for programs, and more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest

Shown = dict[str, list[str]]


@dataclass(frozen=True)
class Example:
    """The example: who there is, and under which names the objects are known here."""

    vtn: VtnUnderTest
    kind: str
    bl: Session
    c1: Session
    c2: Session
    c3: Session
    program: Any
    ven: Any
    resource: Any
    names: dict[str, str]

    async def seen(self, caller: Session, targets: Sequence[str] | None = None) -> Shown:
        """Return the objects a caller gets, by name, with the targets shown; `V1` stands for the ven's id."""
        params = None if targets is None else [("targets", target) for target in targets]
        found = (await caller.get(f"/{self.kind}", params)).ok()
        names = {object_id: name for name, object_id in self.names.items()}
        shown = {
            names[one["id"]]: ["V1" if target == self.ven["id"] else target for target in one["targets"]]
            for one in found
            if one["id"] in names
        }
        return dict(sorted(shown.items()))


async def the_example(vtn: VtnUnderTest, kind: str) -> Example:
    """Program P is untargeted; c1 has V1 [g1, areaX] with R1 [r1]; c2 has V2 without targets; c3 has no ven."""
    bl, c1, c2, c3 = vtn.bl, vtn.home(), vtn.home(), vtn.home()
    program = await bl.program()
    ven = await bl.ven_for(c1, ["g1", "areaX"])
    resource = await bl.resource(ven, objectType="BL_RESOURCE_REQUEST", clientID=c1.client_id, targets=["r1"])
    await bl.ven_for(c2)
    names = {}
    for name, targets in {
        "E0": [],
        "E1": ["g1"],
        "E2": ["g1", "g2"],
        "E3": ["g2"],
        "E4": ["r1"],
        "E5": [ven["id"]],
    }.items():
        one = await (bl.event(program, targets=targets) if kind == "events" else bl.program(targets=targets))
        names[name] = one["id"]
    return Example(vtn, kind, bl, c1, c2, c3, program, ven, resource, names)


@pytest.fixture(params=["events", "programs"])
def collection(request: pytest.FixtureRequest) -> str:
    """Everything holds for events and, mutatis mutandis, for programs (PRIV-022)."""
    name: str = request.param
    return name


ALL: Shown = {"E0": [], "E1": ["g1"], "E2": ["g1", "g2"], "E3": ["g2"], "E4": ["r1"], "E5": ["V1"]}
OF_C1: Shown = {"E0": [], "E1": ["g1"], "E2": ["g1"], "E4": ["r1"], "E5": ["V1"]}

LISTS: dict[str, tuple[str, list[str] | None, Shown]] = {
    "PRIV-EX-01": ("bl", None, ALL),
    "PRIV-EX-02": ("bl", ["g2"], {"E2": ["g1", "g2"], "E3": ["g2"]}),
    "PRIV-EX-03": ("c1", None, OF_C1),
    "PRIV-EX-04": ("c1", ["g1"], {"E1": ["g1"], "E2": ["g1"]}),
    "PRIV-EX-05": ("c1", ["g2"], {}),
    "PRIV-EX-06": ("c1", ["g1", "g2"], {"E1": ["g1"], "E2": ["g1"]}),
    "PRIV-EX-07": ("c1", ["areaX"], {}),
    "PRIV-EX-08": ("c1", ["r1"], {"E4": ["r1"]}),
    "PRIV-EX-11": ("c2", None, {"E0": []}),
    "PRIV-EX-12": ("c2", ["g1"], {}),
    "PRIV-EX-13": ("c3", None, {"E0": []}),
}


@pytest.mark.parametrize(("who", "targets", "expected"), LISTS.values(), ids=LISTS)
async def test_the_worked_example(
    vtn: VtnUnderTest, collection: str, who: str, targets: list[str] | None, expected: Shown
) -> None:
    """PRIV-EX-01 … 08, 11 … 13; PRIV-001, PRIV-003, PRIV-005 … PRIV-009, PRIV-012, PRIV-013, PRIV-020, PAGE-025."""
    example = await the_example(vtn, collection)

    assert await example.seen(getattr(example, who), targets) == expected


async def test_a_visible_object_is_read_by_id_with_its_targets_reduced(vtn: VtnUnderTest, collection: str) -> None:
    """PRIV-EX-09, PRIV-010, PRIV-011: a targets parameter means nothing here."""
    example = await the_example(vtn, collection)

    for params in ({}, {"targets": "g2"}):
        answer = await example.c1.get(f"/{collection}/{example.names['E2']}", params)
        assert answer.ok()["targets"] == ["g1"]


async def test_a_hidden_object_is_answered_as_one_that_does_not_exist(vtn: VtnUnderTest, collection: str) -> None:
    """PRIV-EX-10, PRIV-010, PRIV-019."""
    example = await the_example(vtn, collection)

    hidden = await example.c1.get(f"/{collection}/{example.names['E3']}")
    missing = await example.c1.get(f"/{collection}/never-was")

    assert hidden.problem(404) == missing.problem(404)
    assert hidden.body | {"instance": ""} == missing.body | {"instance": ""}


async def test_other_grants_take_effect_with_the_next_request(vtn: VtnUnderTest, collection: str) -> None:
    """PRIV-EX-14, PRIV-EX-15, PRIV-003."""
    example = await the_example(vtn, collection)
    ven = example.ven

    document = {"objectType": "BL_VEN_REQUEST", "clientID": ven["clientID"], "venName": ven["venName"]}
    (await example.bl.put(f"/vens/{ven['id']}", document | {"targets": ["g2"]})).ok()
    expected = {"E0": [], "E2": ["g2"], "E3": ["g2"], "E4": ["r1"], "E5": ["V1"]}
    assert await example.seen(example.c1) == expected

    (await example.bl.delete(f"/resources/{example.resource['id']}")).ok()
    del expected["E4"]
    assert await example.seen(example.c1) == expected


async def test_an_event_follows_its_program(vtn: VtnUnderTest) -> None:
    """PRIV-EX-16, PRIV-016: hidden in lists, by id and as the subject of a report."""
    example = await the_example(vtn, "events")

    await _target_the_program(example)

    assert await example.seen(example.c1) == {}
    assert await example.seen(example.bl) == ALL
    (await example.c1.get(f"/events/{example.names['E1']}")).problem(404)
    report = {"eventID": example.names["E1"], "clientName": "c", "resources": []}
    assert (await example.c1.post("/reports", report)).problem(400).startswith("eventID:")


async def test_an_event_need_not_follow_its_program(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """PRIV-EX-16, the switch `privacy.events_follow_program`."""
    example = await the_example(await start_vtn(privacy={"events_follow_program": False}), "events")

    await _target_the_program(example)

    assert await example.seen(example.c1) == OF_C1
    await example.c1.report({"id": example.names["E1"]})


async def test_the_id_of_a_ven_need_not_be_a_target(vtn: VtnUnderTest, start_vtn: StartVtn, collection: str) -> None:
    """PRIV-EX-17, the switch `privacy.implicit_ven_id_target`."""
    example = await the_example(await start_vtn(privacy={"implicit_ven_id_target": False}), collection)

    assert await example.seen(example.c1) == {name: targets for name, targets in OF_C1.items() if name != "E5"}


async def test_names_that_a_ven_chooses_are_not_targets(vtn: VtnUnderTest) -> None:
    """PRIV-004: otherwise a VEN could grant itself anything."""
    bl, intruder = vtn.bl, vtn.home()
    program = await bl.program()
    for target in ("my-name", "my-resource", intruder.client_id, "my-client-name"):
        await bl.event(program, targets=[target])
    ven = await intruder.ven(venName="my-name")
    await intruder.resource(ven, resourceName="my-resource")

    assert await intruder.ids("/events") == []


async def test_a_resource_of_another_client_grants_nothing(vtn: VtnUnderTest) -> None:
    """RES-006, PRIV-003: neither to the ven's client nor to the resource's."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    ven = await bl.ven_for(home)
    await bl.ven_for(other)
    await bl.resource(ven, objectType="BL_RESOURCE_REQUEST", clientID=other.client_id, targets=["secret"])
    await bl.event(await bl.program(), targets=["secret"])

    assert await home.ids("/events") == []
    assert await other.ids("/events") == []


async def test_hidden_objects_do_not_shorten_pages(vtn: VtnUnderTest, collection: str) -> None:
    """PAGE-009: privacy comes before skip and limit."""
    example = await the_example(vtn, collection)

    pages = [await example.c1.ids(f"/{collection}", {"skip": str(skip), "limit": "2"}) for skip in range(0, 8, 2)]

    assert [len(page) for page in pages[:2]] == [2, 2]
    seen = [one for page in pages for one in page if one in example.names.values()]
    assert seen == [example.names[name] for name in ("E5", "E4", "E2", "E1", "E0")]


async def test_vens_and_resources_show_all_their_targets(vtn: VtnUnderTest) -> None:
    """PRIV-015, VEN-019."""
    example = await the_example(vtn, "events")

    assert (await example.c1.get(f"/vens/{example.ven['id']}")).ok()["targets"] == ["g1", "areaX"]
    assert [one["targets"] for one in (await example.c1.get("/vens")).ok()] == [["g1", "areaX"]]
    assert (await example.c1.get(f"/resources/{example.resource['id']}")).ok()["targets"] == ["r1"]


async def test_targets_of_report_descriptors_are_reduced_like_those_of_the_event(vtn: VtnUnderTest) -> None:
    """EVT-020: and a descriptor for others only is left out, because without targets it would ask everybody."""
    example = await the_example(vtn, "events")
    descriptors = [
        {"payloadType": "USAGE", "targets": ["g2", "g1"]},
        {"payloadType": "DEMAND", "targets": ["g2"]},
        {"payloadType": "READING"},
    ]
    event = await example.bl.event(example.program, targets=["g1"], reportDescriptors=descriptors, priority=3)

    assert event["reportDescriptors"] == descriptors
    reduced = [{"payloadType": "USAGE", "targets": ["g1"]}, {"payloadType": "READING"}]
    seen = (await example.c1.get(f"/events/{event['id']}")).ok()
    assert seen == event | {"reportDescriptors": reduced}
    assert (await example.c1.get("/events", {"targets": "g1"})).ok()[0] == seen


async def test_a_foreign_object_cannot_be_changed(vtn: VtnUnderTest) -> None:
    """PRIV-017, PRIV-018: and nothing happens to it."""
    home, stranger = vtn.home(), vtn.home()
    ven = await home.ven()
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: stranger.put(f"/vens/{ven['id']}", {"objectType": "VEN_VEN_REQUEST", "venName": "mine"}),
        lambda: stranger.delete(f"/vens/{ven['id']}"),
    ]

    for attempt in attempts:
        (await attempt()).problem(404)

    assert (await home.get(f"/vens/{ven['id']}")).ok() == ven


async def _target_the_program(example: Example) -> None:
    document = {"programName": example.program["programName"], "targets": ["g9"]}
    (await example.bl.put(f"/programs/{example.program['id']}", document)).ok()
