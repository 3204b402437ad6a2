"""Read the forms of the page: bounded, of fields that are known, each mistake with the name of its field."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final

from aiohttp import web

CSRF: Final = "csrf"
_FORM: Final = "application/x-www-form-urlencoded"
_WITHIN_S: Final = 10.0
_LONGEST_NUMBER: Final = 20


async def read_form(request: web.Request, known: Collection[str]) -> dict[str, str]:
    """Return the fields of a form, without blanks around them and without those that are empty.

    Raises:
        ValueError: a field is not known.
        HTTPUnsupportedMediaType, HTTPRequestEntityTooLarge, HTTPRequestTimeout: the body is no form of ours.
    """
    if request.content_type != _FORM:
        raise web.HTTPUnsupportedMediaType(text=f"Content-Type: expected {_FORM}")
    try:
        async with asyncio.timeout(_WITHIN_S):
            given = await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the form has not arrived within {_WITHIN_S:g} s") from None
    fields: dict[str, str] = {}
    for name, value in given.items():
        if name not in known and name != CSRF:
            raise ValueError(f"{name[:80]}: there is no such field")
        if isinstance(value, str) and value.strip():
            fields[name] = value.strip()
    return fields


def instant_of(fields: Mapping[str, str], name: str, zone: tzinfo) -> datetime | None:
    """Return the instant in a field, None if it is empty; one without zone is a time at the clocks of ``zone``.

    Raises:
        ValueError: it is none.
    """
    text = fields.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{name}: {text[:40]!r} is no time: expected one such as 2026-01-31T18:00") from None


def number_of(fields: Mapping[str, str], name: str, least: Decimal, most: Decimal, unit: str) -> Decimal:
    """Return the number in a field; raises ValueError if there is none within the limits, which are in ``unit``."""
    text = fields.get(name, "")
    problem = f"{name}: {text[:40]!r} is not a number from {least} to {most} {unit}"
    try:
        number = Decimal(text.replace(",", ".")) if len(text) <= _LONGEST_NUMBER else None
    except InvalidOperation:
        raise ValueError(problem) from None
    if number is None or not number.is_finite() or not least <= number <= most:
        raise ValueError(problem)
    return number
