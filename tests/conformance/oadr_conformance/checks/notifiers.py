"""MQTT: what `/notifiers` tells of the broker, and the names of topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from yarl import URL

from oadr_conformance.bodies import NOBODYS_ID
from oadr_conformance.broker import ANONYMOUS, CERTIFICATE, ENCRYPTED, SCHEMES, TOKEN
from oadr_conformance.errors import Skipped
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import Area
from oadr_conformance.topics import TOPICS, TopicsRow, topics_of
from oadr_conformance.wire import VtnAnswer

area = Area(
    "API description: notifiersResponse, notifierTopicsResponse; Definition: Notifications via Additional Protocols"
)

_READERS: Final = {"BL": "", "a VEN": "ven"}
_MEMBERS: Final[Mapping[str, set[str]]] = {
    ANONYMOUS: set(),
    TOKEN: {"username"},
    CERTIFICATE: {"caCert", "clientCert", "clientKey"},
}


def _reader(t: Probe, who: str) -> Actor:
    return t.ven if who else t.bl


async def _announced(t: Probe, actor: Actor) -> tuple[VtnAnswer, dict[str, Any]]:
    """Return the answer of /notifiers, and what it says of a broker."""
    answer = await actor.get("/notifiers")
    told = answer.expect(200).object()
    if "MQTT" not in told:
        raise Skipped("applies where the VTN announces a broker of MQTT; this one does not")
    binding = told["MQTT"]
    answer.true(isinstance(binding, dict), "MQTT: an object", binding)
    return answer, binding


@area.each("MQTT-001 MQTT-002", _READERS, needs="ven notifiers")
async def webhooks(t: Probe, who: str) -> None:
    """GET /notifiers says that there are webhooks."""
    answer = await _reader(t, who).get("/notifiers")
    answer.expect(200)
    answer.has(WEBHOOK=True)


@area.each("MQTT-003", _READERS, needs="ven notifiers")
async def where(t: Probe, who: str) -> None:
    """The broker is named by one or more URIs; messages are JSON."""
    answer, binding = await _announced(t, _reader(t, who))
    uris = binding.get("URIS")
    right = isinstance(uris, list) and uris and all(isinstance(uri, str) and URL(uri).host for uri in uris)
    answer.true(right, "URIS: a list of URIs", uris)
    if answer.binding:
        answer.true({URL(uri).scheme for uri in uris or ()} <= set(SCHEMES), f"schemes {' '.join(SCHEMES)}", uris)
    answer.same("serialization", binding.get("serialization"), "JSON")


@area.each("MQTT-004 ENUM-013", _READERS, needs="ven notifiers")
async def authentication(t: Probe, who: str) -> None:
    """Tell how to prove who one is: anonymous, a token with a user name, or a certificate."""
    answer, binding = await _announced(t, _reader(t, who))
    told = binding.get("authentication")
    method = told.get("method") if isinstance(told, dict) else None
    answer.true(method in _MEMBERS, f"authentication with a method: {', '.join(_MEMBERS)}", told)
    texts = {name for name, value in (told or {}).items() if isinstance(value, str) and value}
    answer.true(_MEMBERS[str(method)] <= texts, f"members {sorted(_MEMBERS[str(method)])}", sorted(texts))
    if answer.binding and method == ANONYMOUS:
        answer.same("the members of an anonymous authentication", sorted(texts), ["method"])


@area.check("MQTT-005", needs="ven notifiers")
async def not_kept(t: Probe) -> None:
    """The answer may differ from client to client, so nobody keeps it."""
    (await t.ven.get("/notifiers")).expect(200).header("Cache-Control", "no-store")


@area.check("MQTT-038", needs="notifiers")
async def encrypted(t: Probe) -> None:
    """The broker is reached by TLS."""
    if not t.profile.mqtt_tls:
        raise Skipped("applies where mqtt.require_tls is on")
    answer, binding = await _announced(t, t.bl)
    schemes = [URL(uri).scheme for uri in binding["URIS"]]
    answer.true(set(schemes) & set(ENCRYPTED), f"a URI with {' or '.join(ENCRYPTED)}", binding["URIS"])


@area.each("MQTT-008 MQTT-007 MQTT-015", TOPICS, needs="ven notifiers")
async def names(t: Probe, topics: TopicsRow) -> None:
    """Topics are named for UPDATE and DELETE, and for CREATE where that can be waited for."""
    answer, found = await topics_of(t, topics)
    for operation in ("UPDATE", "DELETE"):
        answer.true(isinstance(found.get(operation), str) and found[operation], f"a topic for {operation}", found)
    if topics.of_one_object:
        answer.true(found.get("CREATE") is None, "no topic for the creation of what exists", found)
    elif answer.binding:
        answer.true(isinstance(found.get("CREATE"), str), "a topic for CREATE", found)
    named = [name for operation, name in found.items() if operation != "ALL" and name]
    answer.true(len(set(named)) == len(named) or not answer.binding, "a topic for each operation", found)


@area.each("MQTT-008", {name: topics for name, topics in TOPICS.items() if not topics.disputed}, needs="ven notifiers")
async def name_of_all(t: Probe, topics: TopicsRow) -> None:
    """ALL is a filter for all operations together."""
    answer, found = await topics_of(t, topics)
    answer.true(isinstance(found.get("ALL"), str) and "+" in found["ALL"], "a filter ALL", found)


_UNKNOWN: Final = {
    "program": ("", f"programs/{NOBODYS_ID}"),
    "events of a program": ("", f"programs/{NOBODYS_ID}/events"),
    "ven": ("ven", f"vens/{NOBODYS_ID}"),
    "events of a ven": ("ven", f"vens/{NOBODYS_ID}/events"),
    "programs of a ven": ("ven", f"vens/{NOBODYS_ID}/programs"),
    "resources of a ven": ("ven", f"vens/{NOBODYS_ID}/resources"),
}
_ANNOUNCED: Final = "/notifiers/mqtt/topics"


@area.each("MQTT-009", _UNKNOWN, needs="ven notifiers")
async def unknown(t: Probe, case: tuple[str, str]) -> None:
    """Answer 404 for the topics of what does not exist."""
    who, path = case
    await _announced(t, _reader(t, who))
    (await _reader(t, who).get(f"{_ANNOUNCED}/{path}")).expect(404, allowed=(400, 403, 410))


@area.each("MQTT-009", {"program": "programs/a b", "ven": "vens/a b"}, needs="ven notifiers")
async def malformed(t: Probe, path: str) -> None:
    """An id that can be none is 400."""
    await _announced(t, t.bl)
    (await t.bl.get(f"{_ANNOUNCED}/{path.replace(' ', '%20')}")).expect(400)
