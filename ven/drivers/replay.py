"""Replay power that was recorded, as the curves of a simulated panel: to try settings with those of a real home."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import field_validator

from openadr_client.clock import Clock
from ven.drivers.interface import CircuitState
from ven.drivers.options import DriverOptions, with_options
from ven.drivers.recording import Recording, read_recording
from ven.drivers.simulated import SimulatedOptions, SimulatedPanel
from ven.panel.circuits import BranchCircuit


class ReplayOptions(DriverOptions):
    """Name the CSV `file`: a column `time`, and one with the kW of each circuit under its id.

    The first row is at the start of the VEN, or with `begin` `recorded` when its time says. With `repeat` the recording
    begins again at its end. Times without an offset are in `timezone`. `state_file` keeps limits over restarts.
    """

    file: Path
    begin: Literal["now", "recorded"] = "now"
    repeat: bool = True
    timezone: str | None = None
    state_file: Path | None = None

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (LookupError, ValueError, OSError):
                raise ValueError("expected the name of a time zone, as Europe/Berlin") from None
        return name


class ReplayedPanel(SimulatedPanel):
    """Drive a panel whose circuits want what was recorded, and obey limits as simulated ones do."""

    def __init__(self, circuits: Sequence[BranchCircuit], options: ReplayOptions, clock: Clock) -> None:
        super().__init__(circuits, SimulatedOptions(state_file=options.state_file), clock)
        self._options = options
        self._ids = [circuit.id for circuit in circuits]
        self._recording: Recording | None = None
        self._began: datetime | None = None

    async def __aenter__(self) -> Self:
        """Read the file; raises DriverFailed naming file, line and column."""
        zone = None if self._options.timezone is None else ZoneInfo(self._options.timezone)
        self._recording = await asyncio.to_thread(read_recording, self._options.file, self._ids, zone)
        self._began = self._recording.begin if self._options.begin == "recorded" else self._clock.now()
        return await super().__aenter__()

    async def read(self) -> Mapping[str, CircuitState]:
        """Return each circuit's power in kW as recorded, up to its limit; none where nothing was recorded."""
        self._load()
        if self._recording is None or self._began is None:
            return {}
        seconds = (self._clock.now() - self._began).total_seconds()
        if self._options.repeat:
            seconds %= self._recording.length_s
        states = {}
        for id_ in self._ids:
            kw = self._recording.at(id_, seconds)
            if kw is not None:
                state = self._state(id_, kw)
                is_free = kw < 0 and state.is_on and not self._curves[id_].feeds_in
                states[id_] = replace(state, power_kw=kw) if is_free else state
        return states


create = with_options("replay", ReplayOptions, ReplayedPanel)
