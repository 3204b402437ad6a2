"""Write reports to files, a row for each value: CSV, and Parquet if its library is installed.

Nothing is kept of what is written: a file of any length takes the memory of a few thousand rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final, Self

from openadr_profiles.fleet.report_values import EXPORTED, as_number, exported
from openadr_profiles.v31 import Report

if TYPE_CHECKING:
    from pyarrow import Schema
    from pyarrow.parquet import ParquetWriter

NEEDS_PYARROW: Final = "Parquet needs the library pyarrow: pip install 'openadr-fleet[parquet]'"
_GROUP_ROWS: Final = 20_000


class CsvRows:
    """Turns reports into lines of CSV."""

    def __init__(self) -> None:
        self._buffer = io.StringIO()
        self._writer = csv.writer(self._buffer, lineterminator="\n")

    def head(self) -> str:
        """Return the line of names."""
        self._writer.writerow(EXPORTED)
        return self._taken()

    def of(self, reports: Iterable[Report]) -> str:
        """Return the lines of reports."""
        for report in reports:
            self._writer.writerows(exported(report))
        return self._taken()

    def _taken(self) -> str:
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text


class ParquetRows:
    """Writes reports into a file of Parquet; raises ModuleNotFoundError without pyarrow.

    ``number`` is a value as a number, and ``value`` its text where it is none. Instants are columns of time.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import pyarrow as pa  # noqa: PLC0415 (an extra, imported where it is used)
        from pyarrow import parquet  # noqa: PLC0415

        self._pa = pa
        self._schema: Schema = pa.schema([pa.field(name, _kind(pa, name)) for name in _NAMES])
        self._writer: ParquetWriter = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the file; what is left is written unless something failed."""
        if kind is None:
            self._write()
        self._writer.close()

    def add(self, reports: Iterable[Report]) -> None:
        """Write reports, many rows at a time."""
        for report in reports:
            for row in exported(report):
                self._rows.append(_typed(dict(zip(EXPORTED, row, strict=True))))
                if len(self._rows) >= _GROUP_ROWS:
                    self._write()

    def _write(self) -> None:
        if self._rows:
            self._writer.write_table(self._pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


_INSTANTS: Final = frozenset({"created", "modified", "start"})
_NAMES: Final = (*EXPORTED, "number")


def _kind(pa: Any, name: str) -> Any:
    if name in _INSTANTS:
        return pa.timestamp("us", tz="UTC")
    return {"interval_id": pa.int64(), "number": pa.float64()}.get(name, pa.string())


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    number = as_number(row["value"])
    row |= {"number": number, "value": str(row["value"]) if number is None else None}
    for name in _INSTANTS:
        row[name] = datetime.fromisoformat(row[name]) if row[name] else None
    return row
