"""Tables of the parts that several messages are made of."""

from __future__ import annotations

from typing import Any, Final

from lxml.etree import _Element

from openadr_profiles.v20b.errors import Unwritable
from openadr_profiles.v20b.layout.elements import Form, Inside, Layout, Out, Slot, Text, Unreadable, Wrap
from openadr_profiles.v20b.layout.namespaces import local_name, name
from openadr_profiles.v20b.layout.texts import (
    BOOLEAN,
    DECIMAL,
    DURATION,
    FLOAT,
    FLOATS,
    ID,
    INSTANT,
    TEXT,
    TOKEN,
    UNSIGNED,
    URI,
)
from openadr_profiles.v20b.messages.common import (
    EiResponse,
    GreenButtonPayload,
    Interval,
    ItemBase,
    LoadControlState,
    LoadControlValue,
    Period,
    PowerAttributes,
    QualifiedEventID,
    ReportPayload,
    ResourceStatus,
    ServiceArea,
    SignalPayload,
    Target,
    TransportInterface,
)

AN_ID: Final = Text(ID)
A_TEXT: Final = Text(TEXT)
A_URI: Final = Text(URI)
A_TOKEN: Final = Text(TOKEN)
A_BOOLEAN: Final = Text(BOOLEAN)
A_COUNT: Final = Text(UNSIGNED)
A_NUMBER: Final = Text(FLOAT)
AN_INSTANT: Final = Text(INSTANT)
A_DURATION: Final = Text(DURATION)

DTSTART: Final = Inside("xcal:date-time", AN_INSTANT)
LENGTH: Final = Inside("xcal:duration", A_DURATION)
VALUE: Final = Inside("ei:value", A_NUMBER)

EI_RESPONSE: Final = Layout(
    EiResponse,
    Slot("code", "ei:responseCode", A_TOKEN),
    Slot("description", "ei:responseDescription", A_TEXT),
    Slot("request_id", "pyld:requestID", AN_ID),
)

QUALIFIED_EVENT_ID: Final = Layout(
    QualifiedEventID,
    Slot("event_id", "ei:eventID", AN_ID),
    Slot("modification_number", "ei:modificationNumber", A_COUNT),
)


class _Area:
    """A polygon of GML, which is the one feature of its collection. Its ids are neither read nor written.

    They have to be unique in a message, which one of two validators looks after, and mean nothing here.
    """

    _POSITIONS: Final = Text(FLOATS)

    def read(self, element: _Element) -> ServiceArea:
        """Return the polygon; raises Unreadable."""
        return ServiceArea(positions=self._POSITIONS.read(element[0][0][0][0][0][0]))

    def write(self, out: Out, tag: str, value: ServiceArea) -> None:
        """Append the element."""
        out.append(f"<{tag}><gml:FeatureCollection><gml:location><gml:Polygon><gml:exterior><gml:LinearRing>")
        self._POSITIONS.write(out, "gml:posList", value.positions)
        out.append("</gml:LinearRing></gml:exterior></gml:Polygon></gml:location></gml:FeatureCollection>")
        out.append(f"</{tag}>")


_NODE: Final = Inside("power:node", AN_ID)
_MRID: Final = Inside("power:mrid", AN_ID)
_AREA: Final = _Area()
_TRANSPORT_INTERFACE: Final = Layout(
    TransportInterface,
    Slot("point_of_receipt", "power:pointOfReceipt", AN_ID),
    Slot("point_of_delivery", "power:pointOfDelivery", AN_ID),
)

TARGET: Final = Layout(
    Target,
    Slot("aggregated_pnodes", "power:aggregatedPnode", _NODE, many=True),
    Slot("end_device_assets", "power:endDeviceAsset", _MRID, many=True),
    Slot("meter_assets", "power:meterAsset", _MRID, many=True),
    Slot("pnodes", "power:pnode", _NODE, many=True),
    Slot("service_areas", "emix:serviceArea", _AREA, many=True),
    Slot("service_delivery_points", "power:serviceDeliveryPoint", _NODE, many=True),
    Slot("service_locations", "power:serviceLocation", _AREA, many=True),
    Slot("transport_interfaces", "power:transportInterface", _TRANSPORT_INTERFACE, many=True),
    Slot("group_ids", "ei:groupID", AN_ID, many=True),
    Slot("group_names", "ei:groupName", AN_ID, many=True),
    Slot("resource_ids", "ei:resourceID", AN_ID, many=True),
    Slot("ven_ids", "ei:venID", AN_ID, many=True),
    Slot("party_ids", "ei:partyID", AN_ID, many=True),
)

_LOAD_CONTROL_VALUE: Final = Layout(
    LoadControlValue,
    Slot("minimum", "oadr:oadrMin", A_NUMBER),
    Slot("maximum", "oadr:oadrMax", A_NUMBER),
    Slot("current", "oadr:oadrCurrent", A_NUMBER),
    Slot("normal", "oadr:oadrNormal", A_NUMBER),
)

_LOAD_CONTROL_STATE: Final = Layout(
    LoadControlState,
    Slot("capacity", "oadr:oadrCapacity", _LOAD_CONTROL_VALUE),
    Slot("level_offset", "oadr:oadrLevelOffset", _LOAD_CONTROL_VALUE),
    Slot("percent_offset", "oadr:oadrPercentOffset", _LOAD_CONTROL_VALUE),
    Slot("set_point", "oadr:oadrSetPoint", _LOAD_CONTROL_VALUE),
)

_RESOURCE_STATUS: Final = Layout(
    ResourceStatus,
    Slot("online", "oadr:oadrOnline", A_BOOLEAN),
    Slot("manual_override", "oadr:oadrManualOverride", A_BOOLEAN),
    Slot("load_control_state", "oadr:oadrLoadControlState", _LOAD_CONTROL_STATE),
)

_SIGNAL_PAYLOAD: Final = Layout(SignalPayload, Slot("value", "ei:payloadFloat", VALUE))

_REPORT_PAYLOAD: Final = Layout(
    ReportPayload,
    Slot("r_id", "ei:rID", AN_ID),
    Slot("confidence", "ei:confidence", A_COUNT),
    Slot("accuracy", "ei:accuracy", A_NUMBER),
    Slot("value", "ei:payloadFloat", VALUE, of=(float, int)),
    Slot("value", "oadr:oadrPayloadResourceStatus", _RESOURCE_STATUS, of=ResourceStatus),
    Slot("data_quality", "oadr:oadrDataQuality", A_TOKEN),
)


class _GreenButton:
    """A Green Button document: what it says is left alone."""

    def read(self, element: _Element) -> GreenButtonPayload:
        """Return that there is one."""
        del element
        return GreenButtonPayload()

    def write(self, out: Out, tag: str, value: GreenButtonPayload) -> None:
        """Refuse."""
        del out, value
        raise Unwritable(tag, "Green Button data is not supported; expected values")


INTERVAL: Final = Layout(
    Interval,
    Slot("start", "xcal:dtstart", DTSTART),
    Slot("duration", "xcal:duration", LENGTH),
    Slot("uid", "xcal:uid", Inside("xcal:text", AN_ID)),
    Slot("payloads", "ei:signalPayload", _SIGNAL_PAYLOAD, many=True, of=SignalPayload),
    Slot("payloads", "oadr:oadrReportPayload", _REPORT_PAYLOAD, many=True, of=ReportPayload),
    Slot("payloads", "oadr:oadrGBPayload", _GreenButton(), many=True, of=GreenButtonPayload),
)

INTERVALS: Final = Wrap("strm:intervals", (Slot("intervals", "ei:interval", INTERVAL, many=True),))

PERIOD: Final = Layout(
    Period,
    Slot("start", "xcal:dtstart", DTSTART),
    Slot("duration", "xcal:duration", LENGTH),
    Wrap("xcal:tolerance", (Wrap("xcal:tolerate", (Slot("start_after", "xcal:startafter", A_DURATION),)),)),
    Slot("notification", "ei:x-eiNotification", LENGTH),
    Slot("ramp_up", "ei:x-eiRampUp", LENGTH),
    Slot("recovery", "ei:x-eiRecovery", LENGTH),
)

_POWER_ATTRIBUTES: Final = Layout(
    PowerAttributes,
    Slot("hertz", "power:hertz", Text(DECIMAL)),
    Slot("voltage", "power:voltage", Text(DECIMAL)),
    Slot("ac", "power:ac", A_BOOLEAN),
)


class _Unit:
    """A unit: its element has the name of the unit, in one of two namespaces."""

    _NAMES: Final = {
        "voltage": "power",
        "energyApparent": "power",
        "energyReactive": "power",
        "energyReal": "power",
        "powerApparent": "power",
        "powerReactive": "power",
        "powerReal": "power",
        "customUnit": "oadr",
        "current": "oadr",
        "currency": "oadr",
        "currencyPerKWh": "oadr",
        "currencyPerKW": "oadr",
        "currencyPerThm": "oadr",
        "frequency": "oadr",
        "Therm": "oadr",
        "temperature": "oadr",
        "pulseCount": "oadr",
    }
    _GREEN_BUTTON: Final = "oadrGBDataDescription"

    def __init__(self) -> None:
        self._tables: dict[str, Layout[ItemBase]] = {}
        self._prefixed = {unit: f"{prefix}:{unit}" for unit, prefix in self._NAMES.items()}
        self._by_tag = {name(tag).clark: unit for unit, tag in self._prefixed.items()}

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the names of all units; those that the schema calls base items may stand for any of their kind."""
        return (*self._prefixed.values(), f"oadr:{self._GREEN_BUTTON}", "power:powerItem", "power:energyItem")

    def name_of(self, value: ItemBase) -> str:
        """Return the name of the element of a unit; raises Unwritable."""
        if value.name not in self._prefixed:
            raise Unwritable(value.name, f"no unit of this profile; expected one of {', '.join(self._prefixed)}")
        return self._prefixed[value.name]

    def read(self, element: _Element) -> ItemBase:
        """Return the unit; raises Unreadable."""
        unit = self._by_tag.get(str(element.tag))
        if unit is None:
            if local_name(element.tag) == self._GREEN_BUTTON:
                return ItemBase(name=self._GREEN_BUTTON, description="", units="", scale=None)
            raise Unreadable(element, f"a base item is no unit; expected one of {', '.join(self._prefixed)}")
        members: dict[str, Any] = {"name": unit, "scale": None}
        for child in element:
            member, form = _UNIT_MEMBERS[str(child.tag)]
            members[member] = form.read(child)
        return ItemBase(**members)

    def write(self, out: Out, tag: str, value: ItemBase) -> None:
        """Append the element; raises Unwritable."""
        prefix = tag.partition(":")[0]
        out.append(f"<{tag}>")
        A_TEXT.write(out, f"{prefix}:itemDescription", value.description)
        A_TEXT.write(out, f"{prefix}:itemUnits", value.units)
        if value.pulse_factor is not None:
            A_NUMBER.write(out, "oadr:pulseFactor", value.pulse_factor)
        elif value.scale is not None:
            A_TOKEN.write(out, "scale:siScaleCode", value.scale)
        if value.power_attributes is not None:
            _POWER_ATTRIBUTES.write(out, "power:powerAttributes", value.power_attributes)
        out.append(f"</{tag}>")


_UNIT_MEMBERS: Final[dict[str, tuple[str, Form]]] = {
    name("power:itemDescription").clark: ("description", A_TEXT),
    name("oadr:itemDescription").clark: ("description", A_TEXT),
    name("power:itemUnits").clark: ("units", A_TEXT),
    name("oadr:itemUnits").clark: ("units", A_TEXT),
    name("scale:siScaleCode").clark: ("scale", A_TOKEN),
    name("oadr:pulseFactor").clark: ("pulse_factor", A_NUMBER),
    name("power:powerAttributes").clark: ("power_attributes", _POWER_ATTRIBUTES),
}

ITEM_BASE: Final = _Unit()
