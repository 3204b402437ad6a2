"""Tell which panel program a panel runs (rule C9): from the settings, its answers, or its metering."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from openadr_profiles.panel import WITHOUT_RESTORE, Ack, Dialect, Telemetry, dialect_named

_log = structlog.get_logger(__name__)

_SAMPLES = 2


class DialectDetection:
    """Keeps what is known of each panel's dialect; ``fixed`` are those that were set by hand, by panel.

    An unknown dialect is taken from the first message that shows one. A known one is changed at once by an answer to a
    command of ours, and by two samples in a row; never by an answer to somebody else, which anybody may have sent: a
    panel that can restore would be told pieces, which add up.
    """

    def __init__(self, fixed: Mapping[str, Dialect]) -> None:
        self._fixed = dict(fixed)
        self._doubts: dict[str, tuple[str, int]] = {}

    def fixed(self, ven_id: str) -> Dialect | None:
        """Return the dialect of a panel that nothing it sends can change, None if it has none."""
        return self._fixed.get(ven_id)

    def of_sample(self, sample: Telemetry, known: Dialect | None) -> Dialect | None:
        """Return the dialect of a panel after a sample of it."""
        shown = dialect_named(sample.dialect)
        if shown is None or shown is known:
            if shown is not None:
                self._doubts.pop(sample.ven_id, None)
            return self._fixed.get(sample.ven_id, known)
        name, times = self._doubts.get(sample.ven_id, ("", 0))
        times = times + 1 if name == shown.name else 1
        if known is not None and times < _SAMPLES:
            self._doubts[sample.ven_id] = (shown.name, times)
            return self._fixed.get(sample.ven_id, known)
        return self._changed(sample.ven_id, known, shown, "metering")

    def of_ack(self, ack: Ack, known: Dialect | None) -> Dialect | None:
        """Return the dialect of a panel after an answer of it."""
        shown = dialect_named(ack.dialect)
        if shown is None or shown is known or (known is not None and not ack.matched):
            return self._fixed.get(ack.ven_id, known)
        return self._changed(ack.ven_id, known, shown, "an answer")

    def without_restore(self, ven_id: str) -> Dialect:
        """Return the dialect of a panel that has refused a restore, whatever the settings say."""
        _log.error(f"panel refuses restore; treated as an {WITHOUT_RESTORE.name} panel from now on", ven_id=ven_id)
        self._fixed[ven_id] = WITHOUT_RESTORE
        return WITHOUT_RESTORE

    def _changed(self, ven_id: str, known: Dialect | None, shown: Dialect, by: str) -> Dialect:
        self._doubts.pop(ven_id, None)
        if (fixed := self._fixed.get(ven_id)) is not None:
            return fixed
        if known is not None:
            _log.warning("panel speaks another dialect now", ven_id=ven_id, dialect=shown.name, was=known.name, by=by)
        return shown
