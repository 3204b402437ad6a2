"""Events with intervals, and the hours of their windows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.profiles.v31.build import at

MIDNIGHT = "2025-01-01T00:00:00Z"


RECEIVED = at("06:30")


def interval(number: int, *, payloads: list[dict[str, Any]] | None = None, **period: Any) -> dict[str, Any]:
    given = [{"type": "PRICE", "values": [number]}] if payloads is None else payloads
    return {"id": number, "payloads": given} | ({"intervalPeriod": period} if period else {})


def hours(*pairs: tuple[str, str | None]) -> list[tuple[datetime, datetime | None]]:
    return [(at(start), None if end is None else at(end)) for start, end in pairs]
