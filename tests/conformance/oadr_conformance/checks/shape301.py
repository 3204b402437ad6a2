"""V301: what OpenADR 3.0.1 has in a shape of its own, asked and read as it is on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from oadr_conformance import bodies
from oadr_conformance.bodies import NOBODYS_ID
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import Area
from oadr_conformance.wire import Obj, VtnAnswer

area = Area("API description 3.0.1")

AREA_TARGET: Final = {"type": "SERVICE_AREA", "values": ["north", "south"]}
GROUP_TARGET: Final = {"type": "GROUP", "values": ["a"]}


async def _made(t: Probe, actor: Actor, path: str, body: Obj) -> Obj:
    """Return what the check has made, as 3.0.1 shows it; it is deleted when the check is over."""
    answer = await actor.send("POST", path, body=body, as_it_is=True)
    return _object(answer.expect(201))


def _object(answer: VtnAnswer) -> Obj:
    return answer.object()


async def _read(t: Probe, path: str, query: Any = ()) -> VtnAnswer:
    return (await t.bl.send("GET", path, query=query, as_it_is=True)).expect(200)


async def _program(t: Probe, **members: Any) -> Obj:
    return await _made(t, t.bl, "/programs", {"programName": t.name("program"), **members})


async def _event(t: Probe, program: Obj, **members: Any) -> Obj:
    return await _made(t, t.bl, "/events", bodies.event(program["id"], **members))


@dataclass(frozen=True)
class Targeted:
    """A kind of object that may have targets: who writes it, and how."""

    path: str
    by: str = "bl"

    async def body(self, t: Probe) -> Obj:
        """Return what is written, without targets."""
        if self.path == "/programs":
            return {"programName": t.name("program")}
        if self.path == "/events":
            return bodies.event((await t.program())["id"])
        if self.path == "/vens":
            return {"venName": t.name("ven")}
        program = await t.program()
        return {"clientName": t.name("client"), "programID": program["id"], "objectOperations": []}


TARGETED: Final = {path.strip("/"): Targeted(path) for path in ("/programs", "/events", "/vens", "/subscriptions")}


def _by_type(targets: Any) -> dict[str, list[Any]]:
    """Return targets by their types: in which order, and in how many maps, is the VTN's decision."""
    found: dict[str, list[Any]] = {}
    for each in targets if isinstance(targets, list) else []:
        if isinstance(each, dict):
            found.setdefault(str(each.get("type")), []).extend(each.get("values") or [])
    return found


@area.each("V301-002 V301-001", TARGETED)
async def targets_have_types(t: Probe, kind: Targeted) -> None:
    """Targets are maps of a type and values, and come back with the types they were written with."""
    obj = await _made(t, t.bl, kind.path, {**await kind.body(t), "targets": [AREA_TARGET, GROUP_TARGET]})
    answer = await _read(t, f"{kind.path}/{obj['id']}")
    expected = {"SERVICE_AREA": ["north", "south"], "GROUP": ["a"]}
    answer.same("the targets by type", _by_type(answer.object().get("targets")), expected)


@area.each("V301-003", {"a number": 7, "a fraction": 2.5, "a truth value": True, "a text like a number": "7"})
async def values_of_targets(t: Probe, value: object) -> None:
    """A value of a target is what it was: a number stays a number."""
    program = await _program(t, targets=[{"type": "GROUP", "values": [value]}])
    answer = await _read(t, f"/programs/{program['id']}")
    answer.same("the targets by type", _by_type(answer.object().get("targets")), {"GROUP": [value]})


@dataclass(frozen=True)
class Narrowing:
    """A search by targets, and whether the object with SERVICE_AREA north and GROUP a is found."""

    query: tuple[tuple[str, str], ...]
    is_found: bool


SEARCHES: Final = {
    "type and value": Narrowing((("targetType", "SERVICE_AREA"), ("targetValues", "north")), True),
    "any of the values": Narrowing(
        (("targetType", "SERVICE_AREA"), ("targetValues", "x"), ("targetValues", "south")), True
    ),
    "a value of another type": Narrowing((("targetType", "GROUP"), ("targetValues", "north")), False),
    "another value": Narrowing((("targetType", "SERVICE_AREA"), ("targetValues", "x")), False),
    "a type": Narrowing((("targetType", "SERVICE_AREA"),), True),
    "another type": Narrowing((("targetType", "VEN_NAME"),), False),
    "values alone": Narrowing((("targetValues", "north"),), True),
}


@area.each(
    "V301-005 PAGE-012",
    {
        f"{kind}: {name}": (TARGETED[kind], one)
        for kind in ("programs", "events", "vens")
        for name, one in SEARCHES.items()
    },
)
async def search_by_targets(t: Probe, case: tuple[Targeted, Narrowing]) -> None:
    """`targetType` and `targetValues` find objects that have a target of the type with any of the values."""
    kind, narrowing = case
    obj = await _made(t, t.bl, kind.path, {**await kind.body(t), "targets": [AREA_TARGET, GROUP_TARGET]})
    await _finds(t, kind.path, narrowing, obj["id"])


async def _finds(t: Probe, path: str, narrowing: Narrowing, id_: str) -> None:
    found: list[str] = []
    for skip in range(0, 1000, 50):
        page = (await _read(t, path, [*narrowing.query, ("skip", str(skip)), ("limit", "50")])).ids()
        found += page
        if len(page) < 50:
            break
    t.same("whether the object is found", id_ in found, narrowing.is_found)


@area.each("V301-034", SEARCHES)
async def subscriptions_by_targets(t: Probe, narrowing: Narrowing) -> None:
    """A search of subscriptions knows `targetType` and `targetValues` too."""
    kind = TARGETED["subscriptions"]
    obj = await _made(t, t.bl, kind.path, {**await kind.body(t), "targets": [AREA_TARGET, GROUP_TARGET]})
    await _finds(t, kind.path, narrowing, obj["id"])


TYPES: Final = (
    "POWER_SERVICE_LOCATION",
    "SERVICE_AREA",
    "GROUP",
    "RESOURCE_NAME",
    "VEN_NAME",
    "EVENT_NAME",
    "PROGRAM_NAME",
    "OURS",
)


@area.each("V301-006 OBJ-004", {type_: type_ for type_ in TYPES})
async def types_of_targets(t: Probe, type_: str) -> None:
    """Every type of targets of the standard is taken, and private ones."""
    program = await _program(t, targets=[{"type": type_, "values": ["x"]}])
    answer = await _read(t, f"/programs/{program['id']}")
    answer.same("the targets by type", _by_type(answer.object().get("targets")), {type_: ["x"]})


METADATA: Final[dict[str, Any]] = {
    "programLongName": "Time of use",
    "retailerName": "ACME",
    "retailerLongName": "ACME Power and Light",
    "programType": "PRICING_TARIFF",
    "country": "US",
    "principalSubdivision": "CO",
    "timeZoneOffset": "PT1H",
    "bindingEvents": False,
    "localPrice": True,
}


@area.each("V301-010 V301-011", {name: (name, value) for name, value in METADATA.items()})
async def members_of_programs(t: Probe, case: tuple[str, Any]) -> None:
    """A program keeps its metadata, each in its own member, over POST and PUT."""
    name, value = case
    program = await _program(t, **{name: value})
    path = f"/programs/{program['id']}"
    answer = await _read(t, path)
    answer.has(**{name: value})
    body = {"programName": program["programName"], **METADATA}
    (await t.bl.send("PUT", path, body=body, as_it_is=True)).expect(200)
    (await _read(t, path)).has(**{name: value})


REQUIRED: Final = {
    "event: programID": ("/events", "programID"),
    "event: intervals": ("/events", "intervals"),
    "report: programID": ("/reports", "programID"),
    "report: eventID": ("/reports", "eventID"),
    "report: clientName": ("/reports", "clientName"),
    "report: resources": ("/reports", "resources"),
    "subscription: programID": ("/subscriptions", "programID"),
    "subscription: clientName": ("/subscriptions", "clientName"),
    "subscription: objectOperations": ("/subscriptions", "objectOperations"),
    "ven: venName": ("/vens", "venName"),
    "program: programName": ("/programs", "programName"),
}


async def _right(t: Probe, path: str) -> Obj:
    if path != "/reports":
        return await TARGETED[path.strip("/")].body(t)
    event = await t.event()
    return {**bodies.report(event["id"]), "programID": event["programID"]}


@area.each("V301-013", REQUIRED, needs="ven")
async def required_members(t: Probe, case: tuple[str, str]) -> None:
    """A body without a member that 3.0.1 requires is 400, to POST and to PUT; with it, it is taken."""
    path, member = case
    actor = t.ven if path == "/reports" else t.bl
    await t.ready(t.ven)
    body = await _right(t, path)
    without = {name: value for name, value in body.items() if name != member}
    (await actor.send("POST", path, body=without, as_it_is=True)).expect(400)
    obj = await _made(t, actor, path, body)
    (await actor.send("PUT", f"{path}/{obj['id']}", body=without, as_it_is=True)).expect(400)


PERIODS: Final[dict[str, Obj]] = {
    "of an event": {"intervalPeriod": {"duration": "PT1H"}},
    "of an interval": {"intervals": [bodies.interval(0, intervalPeriod={"duration": "PT1H"})]},
}


@area.each("V301-015", PERIODS)
async def periods_have_a_start(t: Probe, members: Obj) -> None:
    """A period without a start is 400; with it, it is taken."""
    program = await t.program()
    (await t.bl.send("POST", "/events", body=bodies.event(program["id"], **members), as_it_is=True)).expect(400)
    await _event(t, program)


@area.each("V301-021", {text: text for text in ("0000-00-00", "0000-00-00T00:00:00Z")})
async def old_beginning_of_time(t: Probe, text: str) -> None:
    """A start of 0000-00-00 is taken, and is the beginning of time: 0001-01-01T00:00:00Z."""
    event = await _event(t, await t.program(), intervalPeriod={"start": text, "duration": "PT1H"})
    answer = await _read(t, f"/events/{event['id']}")
    answer.same("the start", answer.object()["intervalPeriod"]["start"], "0001-01-01T00:00:00Z")


@area.each("V301-019 V301-020 COMPAT-051", {text: text for text in ("P9999Y", "PT0S", "P0Y0M0DT1H0M0S")})
async def durations_stay(t: Probe, text: str) -> None:
    """A duration comes back as the text that was written: nothing is guessed."""
    event = await _event(t, await t.program(), intervalPeriod=bodies.period(duration=text))
    answer = await _read(t, f"/events/{event['id']}")
    answer.same("the duration", answer.object()["intervalPeriod"]["duration"], text)


EXTRAS: Final[dict[str, tuple[str, Obj]]] = {
    "event.duration": ("/events", {"duration": "PT4H"}),
    "program.attributes": ("/programs", {"attributes": [{"type": "OWN", "values": ["x"]}]}),
    "event.reportDescriptors.reportIntervals": (
        "/events",
        {"reportDescriptors": [{"payloadType": "USAGE", "reportIntervals": "SUB_INTERVALS"}]},
    ),
}


@area.each("V301-017", EXTRAS)
async def members_of_31(t: Probe, case: tuple[str, Obj]) -> None:
    """What only 3.1 has is taken and shown as an additional member."""
    path, members = case
    obj = await _made(t, t.bl, path, {**await TARGETED[path.strip("/")].body(t), **members})
    (await _read(t, f"{path}/{obj['id']}")).has(**members)


DESCRIPTORS: Final[dict[str, tuple[str, Obj, str]]] = {
    "of an event": ("/events", {"payloadType": "PRICE", "units": "KWH"}, "EVENT_PAYLOAD_DESCRIPTOR"),
    "of a report": ("/reports", {"payloadType": "USAGE", "units": "KWH"}, "REPORT_PAYLOAD_DESCRIPTOR"),
}


@area.each("V301-022", DESCRIPTORS, needs="ven")
async def descriptors_without_type(t: Probe, case: tuple[str, Obj, str]) -> None:
    """A descriptor needs no objectType; where it has none it gets that of its place."""
    path, descriptor, type_ = case
    await t.ready(t.ven)
    actor = t.ven if path == "/reports" else t.bl
    obj = await _made(t, actor, path, {**await _right(t, path), "payloadDescriptors": [descriptor]})
    (await _read(t, f"{path}/{obj['id']}")).has(payloadDescriptors=[{"objectType": type_, **descriptor}])


@area.check("V301-023", needs="ven")
async def a_report_has_the_program_of_its_event(t: Probe) -> None:
    """A report shows the program that it was written with."""
    await t.ready(t.ven)
    event = await t.event()
    body = {**bodies.report(event["id"]), "programID": event["programID"]}
    report = await _made(t, t.ven, "/reports", body)
    (await _read(t, f"/reports/{report['id']}")).has(programID=event["programID"], eventID=event["id"])


@area.check("V301-023", needs="ven")
async def a_report_of_another_program(t: Probe) -> None:
    """A report that names another program than that of its event is 400."""
    await t.ready(t.ven)
    event, other = await t.event(), await t.program()
    body = {**bodies.report(event["id"]), "programID": other["id"]}
    (await t.ven.send("POST", "/reports", body=body, as_it_is=True)).expect(400)


@area.check("V301-025 V301-024 V301-032", needs="ven")
async def a_ven_registers(t: Probe) -> None:
    """A VEN registers with a name and nothing more; the answer is a ven with its metadata, and says not whose it is."""
    name = t.name("ven")
    answer = await t.ven.send("POST", "/vens", body={"venName": name}, as_it_is=True)
    answer.expect(201)
    told = answer.has(objectType="VEN", venName=name)
    answer.true("clientID" not in told or not answer.binding, "no clientID", told.get("clientID"))


@area.check("V301-008", needs="ven")
async def targets_by_a_ven(t: Probe) -> None:
    """Targets that a VEN writes on its own ven grant it nothing: what they name stays hidden from it."""
    ven = await t.own_ven(t.ven)
    target = [{"type": "GROUP", "values": [t.name("target")]}]
    body = {"venName": ven["venName"], "targets": target}
    (await t.ven.send("PUT", f"/vens/{ven['id']}", body=body, as_it_is=True)).expect(200, 400, 403)
    event = await _event(t, await t.program(), targets=target)
    (await t.ven.send("GET", f"/events/{event['id']}", as_it_is=True)).expect(404, allowed=(403,))


@area.check("V301-025 V301-026", needs="ven")
async def a_ven_of_business_logic(t: Probe) -> None:
    """Business logic makes a ven by its name; it is nobody's yet, so that a VEN does not find it among its own."""
    ven = await _made(t, t.bl, "/vens", {"venName": t.name("ven")})
    t.same("its objectType", ven.get("objectType"), "VEN")
    if t.profile.protected:
        (await t.ven.send("GET", f"/vens/{ven['id']}", as_it_is=True)).expect(404, allowed=(403,))


@area.check("V301-027 V301-028")
async def resources_in_a_ven(t: Probe) -> None:
    """Resources that a new ven brings are made with it, and are shown in it and below it."""
    name = t.name("resource")
    ven = await _made(t, t.bl, "/vens", {"venName": t.name("ven"), "resources": [{"resourceName": name}]})
    answer = await _read(t, f"/vens/{ven['id']}")
    embedded = answer.object().get("resources")
    answer.true(isinstance(embedded, list) and len(embedded) == 1, "one resource in the ven", embedded)
    below = await _read(t, f"/vens/{ven['id']}/resources")
    below.same("the resources below it", [each.get("resourceName") for each in below.array()], [name])


@area.check("V301-028")
async def a_ven_without_resources(t: Probe) -> None:
    """A ven that has no resources says so: an empty list."""
    ven = await _made(t, t.bl, "/vens", {"venName": t.name("ven")})
    (await _read(t, f"/vens/{ven['id']}")).has(resources=[])


@dataclass(frozen=True)
class Below:
    """A request below a ven, and what comes of it there and below another ven."""

    method: str
    single: bool
    status: int
    elsewhere: int


BELOW: Final = {
    "search": Below("GET", False, 200, 0),
    "create": Below("POST", False, 201, 0),
    "read": Below("GET", True, 200, 404),
    "change": Below("PUT", True, 200, 404),
    "delete": Below("DELETE", True, 200, 404),
}


async def _ven_with_resource(t: Probe) -> tuple[str, str]:
    ven = await _made(t, t.bl, "/vens", {"venName": t.name("ven")})
    base = f"/vens/{ven['id']}/resources"
    answer = await t.bl.send("POST", base, body={"resourceName": t.name("resource")}, as_it_is=True)
    return base, str(answer.expect(201).object()["id"])


@area.each("V301-029 V301-030 V301-032", BELOW)
async def resources_below_a_ven(t: Probe, one: Below) -> None:
    """Resources are searched, made, read, changed and deleted below their ven; a name is all that one needs."""
    base, resource = await _ven_with_resource(t)
    name = t.name("resource")
    body = {"resourceName": name, "venID": NOBODYS_ID} if one.method in {"POST", "PUT"} else None
    path = f"{base}/{resource}" if one.single else base
    answer = (await t.bl.send(one.method, path, body=body, as_it_is=True)).expect(one.status)
    told = answer.object() if one.single or one.method == "POST" else answer.array()[0]
    answer.same("its objectType", told.get("objectType"), "RESOURCE")
    if body is not None:
        answer.same("its name", told.get("resourceName"), name)


@area.each("V301-029", {name: one for name, one in BELOW.items() if one.elsewhere})
async def resources_below_another_ven(t: Probe, one: Below) -> None:
    """Below another ven, or one that does not exist, a resource is not found; it stays as it was."""
    base, resource = await _ven_with_resource(t)
    other, _ = await _ven_with_resource(t)
    body = {"resourceName": t.name("resource")} if one.method == "PUT" else None
    for path in (other, f"/vens/{NOBODYS_ID}/resources"):
        answer = await t.bl.send(one.method, f"{path}/{resource}", body=body, as_it_is=True)
        answer.expect(one.elsewhere, allowed=(400, 403))
    await _read(t, f"{base}/{resource}")


@area.check("V301-031 RES-003")
async def two_resources_of_one_name(t: Probe) -> None:
    """Two resources of one ven have different names: the second is 409; below another ven it is taken."""
    name = t.name("resource")
    for number, status in enumerate((201, 409, 201)):
        if number != 1:
            ven = await _made(t, t.bl, "/vens", {"venName": t.name("ven")})
        path = f"/vens/{ven['id']}/resources"
        (await t.bl.send("POST", path, body={"resourceName": name}, as_it_is=True)).expect(status)


@area.each("V301-033 PAGE-014", {"targets": ("targets", "x"), "active": ("active", "true")})
async def parameters_of_31(t: Probe, pair: tuple[str, str]) -> None:
    """`targets` and `active` are parameters of 3.1, and narrow nothing here."""
    over = {"start": "2020-01-01T00:00:00Z", "duration": "PT1H"}
    event = await _event(t, await t.program(), intervalPeriod=over)
    answer = await _read(t, "/events", [pair, ("programID", event["programID"])])
    answer.same("the events", answer.ids(), [event["id"]])


@area.each(
    "V301-035",
    {path: path for path in ("/programs", "/events", "/reports", "/subscriptions", "/vens")},
    needs="ven2 secret",
)
async def read_all_opens_reads(t: Probe, path: str) -> None:
    """`read_all` is the one scope that reads need, of a VEN too."""
    (await t.scoped(t.stranger, "read_all").send("GET", path, as_it_is=True)).expect(200)


@area.each(
    "V301-037 GEN-007",
    {path: path for path in ("/auth/server", "/notifiers", "/notifiers/mqtt/topics/programs", "/resources")},
)
async def paths_of_31(t: Probe, path: str) -> None:
    """Paths that only 3.1 has are 404."""
    (await t.bl.send("GET", path, as_it_is=True)).expect(404)


WORDS: Final = ("CREATE", "READ", "UPDATE", "DELETE")
VERBS: Final = ("POST", "GET", "PUT", "DELETE")


@area.each("V301-041", {"the words of the schema": WORDS, "the words of HTTP": VERBS}, needs="ven callback")
async def words_of_operations(t: Probe, words: tuple[str, ...]) -> None:
    """A subscription names operations by CREATE, READ, UPDATE and DELETE; the words of HTTP mean the same."""
    await t.ready(t.ven)
    program = await t.program()
    entry = bodies.operation(t.callback_url, operations=list(words))
    body = {"clientName": t.name("client"), "programID": program["id"], "objectOperations": [entry]}
    subscription = await _made(t, t.ven, "/subscriptions", body)
    got = subscription["objectOperations"][0]["operations"]
    t.same("what its operations mean", sorted(_MEANT.get(word, word) for word in got), sorted(WORDS))


_MEANT: Final = dict(zip(VERBS, WORDS, strict=True))


@area.each(
    "V301-040 WEBHOOK-008 WEBHOOK-033", {"POST": "CREATE", "PUT": "UPDATE", "DELETE": "DELETE"}, needs="ven receiver"
)
async def notifications(t: Probe, word: str) -> None:
    """A change is told in the words of HTTP, with the object as a GET of 3.0.1 shows it."""
    await t.ready(t.ven)
    program = await t.program()
    callback = t.callback()
    entry = bodies.operation(callback.url, operations=[word], bearerToken="ours")
    body = {"clientName": t.name("client"), "programID": program["id"], "objectOperations": [entry]}
    await _made(t, t.ven, "/subscriptions", body)
    event = await _event(t, program, payloadDescriptors=[{"payloadType": "PRICE"}])
    path = f"/events/{event['id']}"
    if word == "UPDATE":
        body = bodies.event(program["id"], eventName="changed")
        event = (await t.bl.send("PUT", path, body=body, as_it_is=True)).expect(200).object()
    elif word == "DELETE":
        (await t.bl.send("DELETE", path, as_it_is=True)).expect(200)
    told = await callback.told(event["id"])
    verb = next(verb for verb, meant in _MEANT.items() if meant == word)
    value = told.notification()
    told.same("operation", value["operation"], verb)
    told.same("objectType", value["objectType"], "EVENT")
    told.has_object(event, word)
    headers = told.exchange.request_headers
    told.same("Authorization", headers.get("Authorization"), "Bearer ours")
    told.true(headers.get("Content-Type", "").startswith("application/json"), "JSON", headers.get("Content-Type"))


@area.check("V301-040 SUBS-022", needs="ven receiver")
async def of_its_program_only(t: Probe) -> None:
    """A subscription is to one program: of events of others it tells nothing."""
    await t.ready(t.ven)
    program, other = await t.program(), await t.program()
    callback = t.callback()
    entry = bodies.operation(callback.url, operations=["CREATE"])
    body = {"clientName": t.name("client"), "programID": program["id"], "objectOperations": [entry]}
    await _made(t, t.ven, "/subscriptions", body)
    foreign = await _event(t, other)
    event = await _event(t, program)
    await callback.told(event["id"])
    await callback.inbox.quiet_about(foreign["id"])


OF_31_ONLY: Final = ("PRICE_ALTERNATE", "DISPATCH_INSTRUCTION", "CONTROL_LEVEL_OFFSET")


@area.each("V301-045 OBJ-004", {word: word for word in OF_31_ONLY})
async def vocabulary_of_31(t: Probe, word: str) -> None:
    """Words of later versions are private ones, and pass."""
    intervals = [bodies.interval(0, 1, word)]
    event = await _event(t, await t.program(), intervals=intervals)
    (await _read(t, f"/events/{event['id']}")).has(intervals=intervals)
