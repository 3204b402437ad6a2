"""Count what the listener of OpenADR 2.0b tells in /metrics; each label has a fixed set of values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.projection import LossKind, NoFormKind
from openadr_profiles.v20b.report_losses import ReportLossKind
from vtn.metrics import INVALID_20B, TELEMETRY_MISSING_20B, UNKNOWN_20B, LabelledCounter, Metrics

_OTHER: Final = "other"


class Counts20b:
    """Counts of one process. Without ``metrics`` nothing is counted."""

    def __init__(self, metrics: Metrics | None) -> None:
        self._metrics = metrics
        self._refused = _labelled(
            metrics,
            "oadr_vtn_20b_refused",
            "Messages of VENs of OpenADR 2.0b that were refused, by the code of the answer.",
            "code",
            (each.value for each in Code),
        )
        self._losses = _labelled(
            metrics,
            "oadr_vtn_20b_losses",
            "What VENs of OpenADR 2.0b were not told of events, each loss for each VEN.",
            "kind",
            LossKind,
        )
        self._report_losses = _labelled(
            metrics,
            "oadr_vtn_20b_report_losses",
            "What reports of OpenADR 2.0b lost on the way to OpenADR 3.",
            "kind",
            ReportLossKind,
        )
        self._events_refused = _labelled(
            metrics,
            "oadr_vtn_20b_events_refused",
            "Events that have no form in OpenADR 2.0b, by the reason.",
            "reason",
            NoFormKind,
        )

    def unknown_certificate(self) -> None:
        """Count a request with a certificate that nobody has enrolled."""
        self._add(UNKNOWN_20B, 1)

    def invalid_message(self) -> None:
        """Count a message of ours that the schemas do not allow (B-GEN-013)."""
        self._add(INVALID_20B, 1)

    def telemetry_missing(self, requests: int) -> None:
        """Count requests for reports whose values are overdue (B-RPT-024)."""
        self._add(TELEMETRY_MISSING_20B, requests)

    def refused(self, code: str) -> None:
        """Count a message that was refused with a code."""
        _count(self._refused, code)

    def losses(self, kinds: Iterable[LossKind]) -> None:
        """Count what a VEN is not told of an event (4.7)."""
        for kind in kinds:
            _count(self._losses, kind)

    def report_losses(self, kinds: Iterable[ReportLossKind]) -> None:
        """Count what a report lost (4.7)."""
        for kind in kinds:
            _count(self._report_losses, kind)

    def event_refused(self, reason: str) -> None:
        """Count an event that VENs are not told of."""
        _count(self._events_refused, reason)

    def _add(self, number: int, more: int) -> None:
        if self._metrics is not None:
            self._metrics.add(number, more)


def _labelled(
    metrics: Metrics | None, name: str, meaning: str, label: str, values: Iterable[str]
) -> LabelledCounter | None:
    if metrics is None:
        return None
    return metrics.labelled(name, meaning, label=label, values=[*(str(value) for value in values), _OTHER])


def _count(counter: LabelledCounter | None, value: str) -> None:
    if counter is not None:
        counter.add(value if value in counter.places else _OTHER)
