"""Read what a VEN of OpenADR 2.0b is told of its events, and what it answers, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lxml import etree

from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.scripted_ven import NAMES, Reply, ScriptedVen, element, of


@dataclass(frozen=True)
class ToldEvent:
    """One oadrEvent of a message."""

    xml: Any
    request_id: str

    def text(self, path: str) -> str | None:
        """The text of an element, None if it is not there."""
        found = self.xml.find(path, NAMES)
        return None if found is None else found.text or ""

    def texts(self, path: str) -> list[str]:
        """The texts of all such elements."""
        return [each.text or "" for each in self.xml.findall(path, NAMES)]

    @property
    def id(self) -> str:
        """The eventID."""
        return self.text(".//ei:eventID") or ""

    @property
    def number(self) -> int:
        """The modificationNumber."""
        return int(self.text(".//ei:modificationNumber") or "-1")

    @property
    def status(self) -> str | None:
        """The eventStatus."""
        return self.text(".//ei:eventStatus")

    @property
    def values(self) -> dict[str, list[float]]:
        """The values of each signal."""
        return {
            signal.find("ei:signalName", NAMES).text: [
                float(value.text) for value in signal.findall("strm:intervals//ei:value", NAMES)
            ]
            for signal in self.xml.findall(".//ei:eiEventSignal", NAMES)
        }

    @property
    def current(self) -> dict[str, float]:
        """The currentValue of each signal."""
        return {
            signal.find("ei:signalName", NAMES).text: float(signal.find("ei:currentValue//ei:value", NAMES).text)
            for signal in self.xml.findall(".//ei:eiEventSignal", NAMES)
        }

    def without_clock(self) -> bytes:
        """Everything but status and current values, to compare two versions."""
        copy = etree.fromstring(etree.tostring(self.xml))
        for path in (".//ei:eventStatus", ".//ei:currentValue"):
            for each in copy.findall(path, NAMES):
                parent = each.getparent()
                assert parent is not None
                parent.remove(each)
        return etree.tostring(copy)


def told(reply: Reply) -> list[ToldEvent]:
    """The events of an oadrDistributeEvent."""
    assert reply.name == "oadrDistributeEvent", reply.raw
    request_id = reply.text("pyld:requestID")
    assert request_id
    return [ToldEvent(each, request_id) for each in reply.message.findall("oadr:oadrEvent", NAMES)]


async def polled(ven: ScriptedVen) -> list[ToldEvent]:
    """The events that the next polls bring, none if there is nothing."""
    while (reply := await ven.poll()).name == "oadrRegisterReport":
        await ven.acknowledge_reports()
    return [] if reply.name == "oadrResponse" else told(reply)


def response(event: ToldEvent, opt: str = "optIn", *, code: str = "200", number: int | None = None, **more: str) -> str:
    """An eventResponse."""
    return (
        "<ei:eventResponse>"
        + of("ei:responseCode", code)
        + of("ei:responseDescription", more.get("description"))
        + of("pyld:requestID", more.get("request_id", event.request_id))
        + "<ei:qualifiedEventID>"
        + of("ei:eventID", more.get("event_id", event.id))
        + of("ei:modificationNumber", event.number if number is None else number)
        + "</ei:qualifiedEventID>"
        + of("ei:optType", opt)
        + "</ei:eventResponse>"
    )


async def answer(ven: ScriptedVen, *responses: str, code: str = "200", request_id: str = "") -> Reply:
    """Send an oadrCreatedEvent with these responses."""
    said = f"<ei:eiResponse>{of('ei:responseCode', code)}{of('pyld:requestID', request_id)}</ei:eiResponse>"
    inside = f"<ei:eventResponses>{''.join(responses)}</ei:eventResponses>" if responses else ""
    message = f"<pyld:eiCreatedEvent>{said}{inside}{of('ei:venID', ven.ven_id)}</pyld:eiCreatedEvent>"
    return await ven.send("EiEvent", element("oadrCreatedEvent", message))


async def accept(ven: ScriptedVen, events: Sequence[ToldEvent]) -> None:
    """Opt in to events."""
    assert (await answer(ven, *(response(event) for event in events))).code == "200"


def at(vtn: VtnUnderTest, minutes: float = 0) -> str:
    """A moment so many minutes from now, as a wire text."""
    return (vtn.now.at + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def levels(vtn: VtnUnderTest, *values: float, minutes: float = 60, **members: Any) -> dict[str, Any]:
    """Members of an event of SIMPLE levels, half an hour each, that begins in so many minutes."""
    return {
        "intervalPeriod": {"start": at(vtn, minutes), "duration": "PT30M"},
        "intervals": [
            {"id": number, "payloads": [{"type": "SIMPLE", "values": [value]}]} for number, value in enumerate(values)
        ],
    } | members
