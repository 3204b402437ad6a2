"""Events as a VEN receives them."""

from __future__ import annotations

import re
from datetime import datetime

from oadr_conformance.moments import order
from oadr_conformance.v20b.tree import NAMESPACES, Element

_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<weeks>\d+)W|(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?)"
)
_UNITS_S = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def seconds_of(text: str) -> int:
    """Return the length, in seconds, of a duration without months and years.

    Raises:
        ValueError: the text is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"no duration of days, hours, minutes and seconds: {text!r}")
    length = sum(int(match[name] or 0) * unit for name, unit in _UNITS_S.items())
    return -length if match["sign"] else length


class _View:
    """One element, and the texts below it."""

    def __init__(self, element: Element) -> None:
        self.element = element

    def text(self, path: str) -> str:
        """Return the text at this path.

        Raises:
            KeyError: it is not there.
        """
        found = self.element.find(path, NAMESPACES)
        if found is None:
            raise KeyError(path)
        return (found.text or "").strip()

    def maybe(self, path: str) -> str | None:
        """Return the text at this path, None if it is not there."""
        found = self.element.find(path, NAMESPACES)
        return None if found is None else (found.text or "").strip()

    def all(self, path: str) -> list[Element]:
        """Return the elements at this path."""
        return self.element.findall(path, NAMESPACES)


class ToldSignal(_View):
    """One eiEventSignal."""

    @property
    def name(self) -> str:
        """Return signalName."""
        return self.text("ei:signalName")

    @property
    def type(self) -> str:
        """Return signalType."""
        return self.text("ei:signalType")

    @property
    def id(self) -> str:
        """Return signalID."""
        return self.text("ei:signalID")

    @property
    def current(self) -> float:
        """Return currentValue."""
        return float(self.text("ei:currentValue/ei:payloadFloat/ei:value"))

    @property
    def intervals(self) -> list[_View]:
        """Return the intervals, in the order of the message."""
        return [_View(one) for one in self.all("strm:intervals/ei:interval")]

    @property
    def uids(self) -> list[str]:
        """Return the uids of the intervals."""
        return [one.text("xcal:uid/xcal:text") for one in self.intervals]

    @property
    def values(self) -> list[float]:
        """Return the values of the intervals."""
        return [float(one.text("ei:signalPayload/ei:payloadFloat/ei:value")) for one in self.intervals]

    @property
    def durations_s(self) -> list[int]:
        """Return the lengths of the intervals, in seconds."""
        return [seconds_of(one.text("xcal:duration/xcal:duration")) for one in self.intervals]


class ToldEvent(_View):
    """One oadrEvent."""

    _descriptor = "ei:eiEvent/ei:eventDescriptor/"
    _period = "ei:eiEvent/ei:eiActivePeriod/xcal:properties/"

    @property
    def id(self) -> str:
        """Return eventID."""
        return self.text(f"{self._descriptor}ei:eventID")

    @property
    def number(self) -> int:
        """Return modificationNumber."""
        return int(self.text(f"{self._descriptor}ei:modificationNumber"))

    @property
    def modified(self) -> str | None:
        """Return modificationDateTime."""
        return self.maybe(f"{self._descriptor}ei:modificationDateTime")

    @property
    def status(self) -> str:
        """Return eventStatus."""
        return self.text(f"{self._descriptor}ei:eventStatus")

    @property
    def priority(self) -> int:
        """Return priority; 0, which is none, where it is not there."""
        return int(self.maybe(f"{self._descriptor}ei:priority") or 0)

    @property
    def market(self) -> str:
        """Return the market context."""
        return self.text(f"{self._descriptor}ei:eiMarketContext/emix:marketContext")

    @property
    def test(self) -> str | None:
        """Return testEvent."""
        return self.maybe(f"{self._descriptor}ei:testEvent")

    @property
    def start(self) -> datetime:
        """Return the start of the active period."""
        return order(self.text(f"{self._period}xcal:dtstart/xcal:date-time"))[0]

    @property
    def duration_s(self) -> int:
        """Return the length of the active period, in seconds."""
        return seconds_of(self.text(f"{self._period}xcal:duration/xcal:duration"))

    @property
    def start_after_s(self) -> int:
        """Return startafter, in seconds; 0 where it is not there."""
        return seconds_of(self.maybe(f"{self._period}xcal:tolerance/xcal:tolerate/xcal:startafter") or "PT0S")

    @property
    def signals(self) -> list[ToldSignal]:
        """Return the signals, in the order of the message."""
        return [ToldSignal(one) for one in self.all("ei:eiEvent/ei:eiEventSignals/ei:eiEventSignal")]

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Return kind and text of each target of the event."""
        parts = self.all("ei:eiEvent/ei:eiTarget/*")
        return [
            (str(one.tag).rpartition("}")[2], "".join(str(text) for text in one.itertext()).strip()) for one in parts
        ]

    @property
    def needs_answer(self) -> bool:
        """Return True if the VTN wants an answer to it."""
        return self.text("oadr:oadrResponseRequired") == "always"

    def signal(self, name: str) -> ToldSignal:
        """Return the signal of this name, whatever its case.

        Raises:
            KeyError: the event has none.
        """
        for one in self.signals:
            if one.name.upper() == name.upper():
                return one
        raise KeyError(f"signal {name}")


def events_in(message: Element) -> list[ToldEvent]:
    """Return the events of an oadrDistributeEvent."""
    return [ToldEvent(one) for one in message.findall("oadr:oadrEvent", NAMESPACES)]
