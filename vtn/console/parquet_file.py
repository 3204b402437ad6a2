"""Reports as a file of Parquet, made in a temporary file and read from there: the format has its index at the end."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import IO, Final

import pyarrow as pa  # noqa: F401 (without it there is no such file, and whoever imports this says so)

from openadr_profiles.v31 import Report
from vtn.report_files import ParquetRows

_CHUNK_BYTES: Final = 256 * 1024


@asynccontextmanager
async def written(pages: AsyncIterator[Sequence[Report]]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Write all reports, then yield the file in pieces; it is removed afterwards."""
    with tempfile.TemporaryFile() as file:
        with await asyncio.to_thread(ParquetRows, file) as rows:
            async for page in pages:
                await asyncio.to_thread(rows.add, page)
        file.seek(0)
        yield _pieces(file)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        yield chunk
