"""Drive a relay board by files, as a kernel or a field bus gateway shows one: an example of a driver of your own.

Each circuit has `<id>.limit` in the folder, which holds the limit in kW while there is one, and `<id>.kw`, in which the
board writes the power it measures in kW.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import Self

from openadr_client.clock import Clock
from ven.drivers import CircuitState, DriverOptions, with_options
from ven.errors import DriverFailed
from ven.panel.circuits import BranchCircuit


class FileRelayOptions(DriverOptions):
    """Name the `folder` of the board."""

    folder: Path


class FileRelays:
    """Switch and measure by the files of one folder."""

    enforces_expiry = False
    """The board keeps a limit until its file is gone; the VEN's watchdog sees to it when the VEN is gone."""

    def __init__(self, circuits: Sequence[BranchCircuit], options: FileRelayOptions, clock: Clock) -> None:
        self._folder = options.folder
        self._ids = [circuit.id for circuit in circuits]

    async def __aenter__(self) -> Self:
        if not self._folder.is_dir():
            raise DriverFailed(f"{self._folder} is no folder of a relay board")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the limits in the board as they are."""

    async def read(self) -> Mapping[str, CircuitState]:
        """Return the power and the limit of the circuits now, in kW; the board tells no switch position."""
        powers, limits = self._numbers("kw"), self._numbers("limit")
        return {id_: CircuitState(power_kw=kw, limit_kw=limits.get(id_)) for id_, kw in powers.items()}

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        """Limit a circuit; raises DriverFailed."""
        file = self._limit_file(circuit_id)
        try:
            file.write_text(str(limit_kw), encoding="utf-8")
        except OSError as error:
            raise DriverFailed(f"{file} cannot be written: {error.strerror}") from error

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        """End the limit of a circuit; raises DriverFailed."""
        file = self._limit_file(circuit_id)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise DriverFailed(f"{file} cannot be removed: {error.strerror}") from error

    def _limit_file(self, circuit_id: str) -> Path:
        if circuit_id not in self._ids:
            raise DriverFailed(f"the relay board has no circuit {circuit_id}")
        return self._folder / f"{circuit_id}.limit"

    def _numbers(self, kind: str) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for id_ in self._ids:
            try:
                found[id_] = Decimal((self._folder / f"{id_}.{kind}").read_text(encoding="utf-8").strip())
            except (OSError, ValueError, InvalidOperation):
                continue
        return found


create = with_options("file-relays", FileRelayOptions, FileRelays)
