"""Describe what is common to relays and meters that speak MQTT: orders to them, and what they tell. No I/O."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Protocol

from pydantic import AfterValidator, Field

from ven.drivers.options import DriverOptions
from ven.drivers.quantities import Implausible, energy_kwh, power_kw
from ven.panel.circuits import BranchCircuit

WATT: Final = Decimal(1000)
"""Watts in a kW, and watt hours in a kWh."""


def _without_wildcards(topic: str) -> str:
    if any(letter in topic for letter in "+#\0") or topic.startswith("/") or topic.endswith("/"):
        raise ValueError("expected a topic without wildcards and without a slash at its ends")
    return topic


Topic = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_wildcards)]


@dataclass(frozen=True, slots=True)
class Order:
    """Hold a message to a device."""

    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class Heard:
    """Hold what one message of a device tells about a circuit; None is "nothing of it" for every member.

    ``is_on`` is the switch, ``is_there`` whether the device is connected, ``done`` that it took an order, ``refusal``
    why it did not. ``taken_over`` says whether a person has moved the switch. ``left_s`` is how long the device waits
    before it switches on again by itself, 0 if it does not. ``problem`` says what is wrong with what it measures.
    ``answers`` is True for what it says of its switch when it is asked, not when it acknowledges an order.
    """

    is_on: bool | None = None
    power_kw: Decimal | None = None
    energy_kwh: Decimal | None = None
    is_there: bool | None = None
    done: bool = False
    refusal: str | None = None
    taken_over: bool | None = None
    left_s: Decimal | None = None
    problem: str | None = None
    answers: bool = False


class RelayDevice(Protocol):
    """Know the topics and payloads of one circuit's device."""

    label: str
    """Name of the device for people, as "tasmota heater"."""
    filters: tuple[str, ...]
    """Topics to subscribe to, without wildcards."""
    can_switch: bool
    ends_limits: bool
    """True if the device switches on again by itself at the end of ``for_s``."""
    unfit: str | None
    """Say why the device cannot be limited as it should; None if it can."""

    def ask(self) -> Sequence[Order]:
        """Return what makes the device tell its state; what it measures comes before its switch."""
        ...

    def switch(self, *, on: bool, for_s: int | None = None) -> Sequence[Order]:
        """Return the order to switch on or off; with ``for_s`` the device undoes it after so many seconds."""
        ...

    def hear(self, topic: str, payload: bytes, *, retained: bool) -> Heard | None:
        """Return what a message tells; raises Implausible. Of what is retained nobody knows how old it is."""
        ...


class DeviceOptions(DriverOptions):
    """Be the base of a circuit's options.

    ``meter`` False is for a device that only switches. A circuit that ``feeds_in`` may have a power below zero.
    """

    topic: Topic
    meter: bool = True
    feeds_in: bool = False

    @abstractmethod
    def device_for(self, circuit: BranchCircuit, *, client_id: str) -> RelayDevice:
        """Return what knows the device; answers that are for us only go to topics with our client id."""


def measured(
    circuit: BranchCircuit,
    options: DeviceOptions,
    *,
    power: object = None,
    energy: object = None,
    per_kwh: Decimal = WATT,
) -> Heard:
    """Return what a device measures: a power in W and its counter, of which `per_kwh` units are one kWh.

    A value that cannot be is a problem of its own and leaves the others as they are.
    """
    kw = kwh = problem = None
    try:
        if power is not None and options.meter:
            kw = power_kw(power, circuit, per_kw=WATT, feeds_in=options.feeds_in)
        if energy is not None and options.meter:
            kwh = energy_kwh(energy, per_kwh=per_kwh)
    except Implausible as error:
        problem = str(error)
    return Heard(power_kw=kw, energy_kwh=kwh, problem=problem)


def switch_word(word: object) -> bool:
    """Return True for on and False for off, as most devices write them; raises Implausible."""
    known = {"ON": True, "OFF": False}
    found = known.get(word.upper()) if isinstance(word, str) else None
    if found is None:
        raise Implausible(f"expected on or off, not {str(word)[:20]!r}")
    return found
