"""Read recorded power from a CSV file: a column of instants, and one of kW for each circuit.

The mistakes of a file are named with its line and column. What is read is bounded: so many bytes, so many values.
"""

from __future__ import annotations

import csv
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from math import isnan, nan
from pathlib import Path
from typing import Final

from ven.drivers.quantities import Implausible, number
from ven.errors import DriverFailed

TIME: Final = "time"
MOST_BYTES: Final = 256 * 2**20
MOST_VALUES: Final = 5_000_000
"""Values kept, of all circuits together: four bytes each."""
_MOST_KW: Final = 100_000
_WATT: Final = Decimal("0.001")


@dataclass(frozen=True)
class Recording:
    """Hold rows that each last until the next: seconds since the first, and kW by circuit id (NaN where none was)."""

    begin: datetime
    seconds: array[float]
    kw: Mapping[str, array[float]]

    @property
    def length_s(self) -> float:
        """Return the time until the recording is over: its last row lasts as long as the one before."""
        last, before = self.seconds[-1], self.seconds[-2]
        return last + (last - before)

    def at(self, circuit_id: str, seconds: float) -> Decimal | None:
        """Return the power in kW so many seconds after the first row, None if there is none."""
        if not 0 <= seconds < self.length_s:
            return None
        kw = self.kw[circuit_id][bisect_right(self.seconds, seconds) - 1]
        return None if isnan(kw) else Decimal(kw).quantize(_WATT)


def read_recording(
    file: Path,
    circuit_ids: Sequence[str],
    timezone: tzinfo | None = None,
    *,
    most_bytes: int = MOST_BYTES,
    most_values: int = MOST_VALUES,
) -> Recording:
    """Return what a file holds of these circuits; instants without an offset are in `timezone`.

    Raises:
        DriverFailed: it cannot be read, is too large, or something in it is wrong; file, line and column are named.
    """
    try:
        if not file.is_file():
            raise DriverFailed(f"{file} is no file")
        if (size := file.stat().st_size) > most_bytes:
            raise DriverFailed(f"{file} has {size} bytes, more than {most_bytes}")
        with file.open(encoding="utf-8-sig", newline="") as opened:
            return _Reader(file, circuit_ids, timezone, most_values).read(opened)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text (UTF-8)"
        raise DriverFailed(f"{file} cannot be read: {why}") from error


class _Reader:
    """Read one file, row by row."""

    def __init__(self, file: Path, circuit_ids: Sequence[str], timezone: tzinfo | None, most_values: int) -> None:
        self._file = file
        self._ids = circuit_ids
        self._timezone = timezone
        self._most_rows = most_values // max(len(circuit_ids), 1)
        self._seconds = array("d")
        self._kw = {id_: array("f") for id_ in circuit_ids}
        self._begin: datetime | None = None

    def read(self, lines: Iterable[str]) -> Recording:
        rows = csv.reader(lines, strict=True)
        try:
            places = self._places(next(rows, []))
            for row in rows:
                if row:
                    self._add(row, places, rows.line_num)
        except csv.Error as error:
            raise DriverFailed(f"{self._file}, line {rows.line_num}: {error}") from error
        if self._begin is None or len(self._seconds) < 2:
            raise DriverFailed(f"{self._file}: expected at least two rows below the names of the columns")
        return Recording(self._begin, self._seconds, self._kw)

    def _places(self, header: list[str]) -> dict[str, int]:
        names = [name.strip() for name in header]
        for name in (TIME, *self._ids):
            if names.count(name) != 1:
                often = "is missing" if name not in names else "is there more than once"
                raise DriverFailed(f"{self._file}, line 1: the column {name!r} {often}")
        return {name: names.index(name) for name in (TIME, *self._ids)}

    def _add(self, row: list[str], places: Mapping[str, int], line: int) -> None:
        if len(self._seconds) >= self._most_rows:
            raise DriverFailed(
                f"{self._file}, line {line}: more than {self._most_rows} rows of {len(self._ids)} circuits"
            )
        cells = {name: row[place].strip() if place < len(row) else "" for name, place in places.items()}
        at = self._instant(cells[TIME], line)
        self._begin = self._begin or at
        seconds = (at - self._begin).total_seconds()
        if self._seconds and seconds <= self._seconds[-1]:
            raise self._mistake(line, TIME, "expected a later time than in the row before")
        self._seconds.append(seconds)
        for id_ in self._ids:
            self._kw[id_].append(self._power(cells[id_], line, id_))

    def _instant(self, text: str, line: int) -> datetime:
        try:
            at = datetime.fromisoformat(text[:40])
        except ValueError:
            raise self._mistake(line, TIME, f"expected a time as 2026-01-01T00:00:00Z, not {text[:40]!r}") from None
        if at.tzinfo is not None:
            return at
        if self._timezone is None:
            raise self._mistake(line, TIME, f"expected an offset, as {text[:40]}Z, or the option timezone")
        return at.replace(tzinfo=self._timezone)

    def _power(self, text: str, line: int, id_: str) -> float:
        if not text:
            return nan
        try:
            kw = number(text)
        except Implausible as error:
            raise self._mistake(line, id_, str(error)) from None
        if abs(kw) > _MOST_KW:
            raise self._mistake(line, id_, f"expected kW, at most {_MOST_KW}, not {text[:40]}")
        return float(kw)

    def _mistake(self, line: int, column: str, problem: str) -> DriverFailed:
        return DriverFailed(f"{self._file}, line {line}, column {column!r}: {problem}")
