"""Real powers of the circuits, read from the simulated devices themselves and not from any report."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Protocol

from bridge_mqtt.simulators.model import PanelModel
from oadr.demo.homes import Home
from openadr_profiles.panel.flat import FLAT_CIRCUITS
from ven.drivers.simulated import Curve, SimulatedOptions
from ven.panel.circuits import BranchCircuit

_LEGACY_CRITICAL = frozenset({circuit.id for circuit in FLAT_CIRCUITS if circuit.critical})
_NOTHING = Decimal(0)


@dataclass(frozen=True)
class TruePower:
    """One circuit at one moment: its uncurtailed power and its reduction, in kW."""

    normal_kw: Decimal
    taken_kw: Decimal


class Device(Protocol):
    """A home's panel or a legacy panel, seen from outside."""

    name: str
    critical: frozenset[str]

    def read(self, at: datetime) -> Mapping[str, TruePower]:
        """All circuits now."""
        ...


class HomeDevice:
    """A home's simulated panel: its power curves, and the limits in force as its own file says."""

    def __init__(self, home: Home, state_file: Path) -> None:
        self.name = home.name
        circuits = [BranchCircuit.model_validate(circuit) for circuit in home.circuits]
        self.critical = frozenset(circuit.id for circuit in circuits if circuit.critical)
        options = SimulatedOptions(seed=home.seed)
        self._curves = {circuit.id: Curve.of(circuit, options) for circuit in circuits}
        self._state_file = state_file

    def read(self, at: datetime) -> Mapping[str, TruePower]:
        """All circuits now."""
        limits: dict[str, str] = {}
        if self._state_file.exists():
            limits = json.loads(self._state_file.read_text(encoding="utf-8"))["limits_kw"]
        readings = {}
        for id_, curve in self._curves.items():
            wanted = curve.kw(at)
            limit = Decimal(limits[id_]) if id_ in limits else wanted
            readings[id_] = TruePower(wanted, max(_NOTHING, wanted - limit))
        return readings


class LegacyDevice:
    """A simulated legacy panel."""

    def __init__(self, model: PanelModel) -> None:
        self.name = model.ven_id
        self.critical = _LEGACY_CRITICAL
        self._model = model

    def read(self, at: datetime) -> Mapping[str, TruePower]:
        """All circuits now; the panel's own clock decides what "now" is."""
        taken = {name: Decimal(str(kw)) for name, kw in self._model.taken_kw().items()}
        return {
            name: TruePower(Decimal(str(kw)) + taken.get(name, _NOTHING), taken.get(name, _NOTHING))
            for name, kw in self._model.circuits_kw().items()
        }


@dataclass
class CircuitTruth:
    """Readings of one circuit: its greatest reduction so far, and its latest reading."""

    critical: bool
    most_taken_kw: Decimal = _NOTHING
    now: TruePower = TruePower(_NOTHING, _NOTHING)


class Ledger:
    """Reads all devices repeatedly and keeps what the verdict needs."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self._devices = tuple(devices)
        self.circuits: dict[str, dict[str, CircuitTruth]] = {device.name: {} for device in self._devices}
        self._taken_kw: dict[tuple[str, int], list[Decimal]] = defaultdict(list)

    def look(self, at: datetime, interval: int | None) -> None:
        """Read every device; ``interval`` is the event's interval that holds now."""
        for device in self._devices:
            readings = device.read(at)
            for name, reading in readings.items():
                circuit = self.circuits[device.name].setdefault(name, CircuitTruth(name in device.critical))
                circuit.now = reading
                circuit.most_taken_kw = max(circuit.most_taken_kw, reading.taken_kw)
            if interval is not None:
                total = sum((reading.taken_kw for reading in readings.values()), _NOTHING)
                self._taken_kw[device.name, interval].append(total)

    def totals_kw(self) -> tuple[Decimal, Decimal]:
        """Return the uncurtailed power of all circuits, and their reduction, in kW, at the last reading."""
        seen = [circuit.now for circuits in self.circuits.values() for circuit in circuits.values()]
        normal = sum((reading.normal_kw for reading in seen), _NOTHING)
        return normal, sum((reading.taken_kw for reading in seen), _NOTHING)

    def held_kw(self, device: str) -> Decimal:
        """Return the reduction of a whole device at the last reading, in kW."""
        return sum((circuit.now.taken_kw for circuit in self.circuits.get(device, {}).values()), _NOTHING)

    def taken_kw(self, device: str, interval: int) -> Decimal:
        """Return the median reduction of a whole device in an interval, in kW, over all readings of it.

        An envelope panel sheds in pieces and restores for a moment between two of them, so one reading is not enough.
        """
        looks = self._taken_kw.get((device, interval))
        return median(looks) if looks else _NOTHING
