"""Check of payload values against their type (OBJ-006): a mismatch is ignored, warned of, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from openadr_profiles.v31 import EventRequest, Invalid, ReportRequest
from openadr_profiles.v31.payload_values import unsuitable
from vtn.access import Caller
from vtn.settings import Validation

D = TypeVar("D", EventRequest, ReportRequest)

_log = structlog.get_logger(__name__)


class PayloadValues:
    """Looks at the values of events and reports. ``count`` is called once for each document that is warned of."""

    def __init__(self, settings: Validation, count: Callable[[], None]) -> None:
        self._mode = settings.payload_values
        self._count = count

    def checked(self, read: Callable[[bytes, Caller], D]) -> Callable[[bytes, Caller], D]:
        """Wrap the reading of a body; with ``strict`` it raises Invalid naming the first payload that does not suit."""
        if self._mode == "off":
            return read

        def read_and_check(raw: bytes, caller: Caller) -> D:
            document = read(raw, caller)
            self.check(document, caller)
            return document

        return read_and_check

    def check(self, document: EventRequest | ReportRequest, caller: Caller) -> None:
        """Look at the values of a document; with ``strict`` it raises Invalid as ``checked`` says."""
        first = None if self._mode == "off" else next(unsuitable(document), None)
        if first is None:
            return
        if self._mode == "strict":
            raise Invalid(first.member, f"expected {first.expected} for {first.payload_type}")
        self._count()
        _log.warning(
            "payload values do not suit their type",
            client_id=caller.client_id,
            member=first.member,
            payload_type=first.payload_type,
            expected=first.expected,
        )
