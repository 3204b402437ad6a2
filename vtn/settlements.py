"""Write the CSV of a result piece by piece: little of it is in memory at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import Any, Final

from vtn.performance.settlement import settlement_head, settlement_lines
from vtn.performance.told import participant_of
from vtn.store.performance.results import PerformanceStore

_PIECE_CHARACTERS: Final = 64 * 1024


async def settlement_pieces(results: PerformanceStore, row: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
    """Yield the CSV of a result, given as it is stored, in pieces of about 64 KiB."""
    step = timedelta(seconds=row["step_s"])
    piece, size = [settlement_head()], 0
    async for one in results.each_participant(row["id"]):
        kept = participant_of(one, row["starts_at"], step)
        lines = settlement_lines(row["event_id"], kept, step, method=row["method"], inputs_sha256=row["inputs_sha256"])
        piece.append(lines)
        size += len(lines)
        if size >= _PIECE_CHARACTERS:
            yield "".join(piece).encode()
            piece, size = [], 0
    yield "".join(piece).encode()
