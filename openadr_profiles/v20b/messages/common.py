"""The parts that several messages of OpenADR 2.0b are made of."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from openadr_profiles.v20b.durations import Duration20b


class Part(Struct, frozen=True, kw_only=True, gc=False):
    """Base of every message and part. Ids are the text that came, nothing is trimmed or counted (B-GEN-006)."""


class EiResponse(Part, frozen=True, kw_only=True):
    """Say how a request went: ``code`` has three digits, ``request_id`` is that of the request or empty (B-GEN-007)."""

    code: str
    description: str | None = None
    request_id: str = ""


class QualifiedEventID(Part, frozen=True, kw_only=True):
    """One version of an event."""

    event_id: str
    modification_number: int


class TransportInterface(Part, frozen=True, kw_only=True):
    """The two ends of a transport of energy, by their nodes."""

    point_of_receipt: str
    point_of_delivery: str


class ServiceArea(Part, frozen=True, kw_only=True):
    """A polygon: ``positions`` are its coordinates as GML lists them, pair by pair. What GML calls it is left out."""

    positions: tuple[float, ...]


class Target(Part, frozen=True, kw_only=True):
    """Whom or what something is about. Everything named is meant, one or the other (B-EVT-035); empty: the receiver."""

    aggregated_pnodes: tuple[str, ...] = ()
    end_device_assets: tuple[str, ...] = ()
    meter_assets: tuple[str, ...] = ()
    pnodes: tuple[str, ...] = ()
    service_areas: tuple[ServiceArea, ...] = ()
    service_delivery_points: tuple[str, ...] = ()
    service_locations: tuple[ServiceArea, ...] = ()
    transport_interfaces: tuple[TransportInterface, ...] = ()
    group_ids: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    ven_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if nothing is named."""
        return self == EMPTY_TARGET


EMPTY_TARGET = Target()


class PowerAttributes(Part, frozen=True, kw_only=True):
    """The mains that a power is about: hertz, volts, and whether it alternates."""

    hertz: Decimal
    voltage: Decimal
    ac: bool


class ItemBase(Part, frozen=True, kw_only=True):
    """The unit of values: ``name`` is its element (``powerReal``, ``currencyPerKWh``), ``scale`` its SI scale code.

    A pulse count has ``pulse_factor`` instead of a scale, a power has ``power_attributes``.
    """

    name: str
    description: str
    units: str
    scale: str | None = "none"
    power_attributes: PowerAttributes | None = None
    pulse_factor: float | None = None


class SignalPayload(Part, frozen=True, kw_only=True):
    """The value of a signal in an interval."""

    value: float


class LoadControlValue(Part, frozen=True, kw_only=True):
    """One kind of load control: what it is, between which limits, and what is normal."""

    current: float
    minimum: float | None = None
    maximum: float | None = None
    normal: float | None = None


class LoadControlState(Part, frozen=True, kw_only=True):
    """Hold what a resource has been told to do."""

    capacity: LoadControlValue | None = None
    level_offset: LoadControlValue | None = None
    percent_offset: LoadControlValue | None = None
    set_point: LoadControlValue | None = None


class ResourceStatus(Part, frozen=True, kw_only=True):
    """Say whether a resource can be reached, and whether its owner has overridden it (B-RPT-016)."""

    online: bool
    manual_override: bool
    load_control_state: LoadControlState | None = None


class ReportPayload(Part, frozen=True, kw_only=True):
    """A reported value: a number, or the state of a resource. ``confidence`` is 0 to 100 percent."""

    r_id: str
    confidence: int | None = None
    accuracy: float | None = None
    value: float | ResourceStatus
    data_quality: str | None = None


class GreenButtonPayload(Part, frozen=True, kw_only=True):
    """A Green Button document in place of values; it is named, and its content is not read."""


IntervalPayload: TypeAlias = SignalPayload | ReportPayload | GreenButtonPayload


class Interval(Part, frozen=True, kw_only=True):
    """A stretch of time of a signal, a baseline or a report, with payloads. ``uid`` counts from 0 (B-EVT-026)."""

    start: datetime | None = None
    duration: Duration20b | None = None
    uid: str | None = None
    payloads: tuple[IntervalPayload, ...]


class Period(Part, frozen=True, kw_only=True):
    """A period with what may be said about it: of an event, of an availability, of a report that is asked for.

    ``start_after`` is the most by which a VEN may start later, at random (B-EVT-024); ramp-up and recovery may be
    negative (B-EVT-038).
    """

    start: datetime
    duration: Duration20b
    start_after: Duration20b | None = None
    notification: Duration20b | None = None
    ramp_up: Duration20b | None = None
    recovery: Duration20b | None = None
