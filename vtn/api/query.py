"""Query parameters: read strictly if the standard defines them, ignored if it does not (PAGE-008 … PAGE-016)."""

from __future__ import annotations

import re
from typing import Final

from multidict import MultiMapping

from vtn.errors import Malformed
from vtn.store.query import Page

OBJECT_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_MOST: Final = 50
_INT32: Final = 2**31 - 1
_NUMBER: Final = re.compile(r"[0-9]{1,10}")


class Query:
    """The parameters of one request."""

    def __init__(self, parameters: MultiMapping[str]) -> None:
        self._parameters = parameters

    def page(self) -> Page:
        """Return ``skip`` and ``limit`` (PAGE-002 … PAGE-008)."""
        return Page(skip=self._number("skip", 0, _INT32), limit=self._number("limit", _MOST, _MOST))

    def text(self, name: str) -> str | None:
        """Return a parameter of 1 to 128 characters; None if absent."""
        value = self._single(name)
        return None if value is None else _checked(name, value)

    def object_id(self, name: str) -> str | None:
        """Return an object's id; None if absent."""
        value = self._single(name)
        if value is not None and not OBJECT_ID.fullmatch(value):
            raise Malformed(f"{name}: expected 1 to 128 letters, digits, _ or -")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return every value of a repeated parameter; a comma belongs to the value (PAGE-013)."""
        if name not in self._parameters:
            return None
        return tuple(_checked(name, value) for value in self._parameters.getall(name))

    def flag(self, name: str) -> bool:
        """Return a parameter that is ``true`` or ``false``; False if absent."""
        value = self._single(name)
        if value not in {None, "true", "false"}:
            raise Malformed(f"{name}: expected true or false")
        return value == "true"

    def names(self, parameter: str, target_type: str) -> tuple[str, ...] | None:
        """Return exact names to filter by: the parameter, or ``targetType`` with ``targetValues`` of older clients.

        Values of any other ``targetType`` are nothing to 3.1 and ignored. Both together mean both.
        """
        by_parameter = self.text(parameter)
        by_type = self.texts("targetValues") if self._parameters.get("targetType") == target_type else None
        if by_parameter is None or by_type is None:
            return by_type if by_parameter is None else (by_parameter,)
        return tuple(name for name in by_type if name == by_parameter)

    def _single(self, name: str) -> str | None:
        values = self._parameters.getall(name, [])
        if len(values) > 1:
            raise Malformed(f"{name}: given more than once")
        return values[0] if values else None

    def _number(self, name: str, default: int, most: int) -> int:
        value = self._single(name)
        if value is None:
            return default
        if not _NUMBER.fullmatch(value) or int(value) > most:
            raise Malformed(f"{name}: expected a whole number from 0 to {most}")
        return int(value)


def _checked(name: str, value: str) -> str:
    if not 1 <= len(value) <= 128 or "\0" in value:
        raise Malformed(f"{name}: expected 1 to 128 characters")
    return value
