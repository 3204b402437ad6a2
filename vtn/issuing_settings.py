"""Settings of issuing events at the console: the same limits as those of the command line."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from vtn.settings_group import SettingsGroup

if TYPE_CHECKING:
    from openadr_profiles.fleet.preview import Safety

_Kw = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class IssuingLimits(SettingsGroup):
    """Limits of events that are issued at the console, in kW and days; the first asks, the others refuse."""

    confirm_above_kw: _Kw = Decimal(1_000)
    """Events that ask for more than this in total must be confirmed."""
    max_kw_per_ven: _Kw = Decimal(10_000)
    """The most that one VEN may be asked for."""
    max_total_kw: _Kw = Decimal(1_000_000)
    """The most that all VENs together may be asked for."""
    max_days_ahead: Annotated[int, Field(ge=0)] = 366
    """Events must end within so many days."""
    repeat_check_s: Annotated[float, Field(gt=0, le=600)] = 15.0
    """Interval of looking for repeats that are due."""

    @property
    def safety(self) -> Safety:
        """Return the limits for the rules of issuing."""
        from openadr_profiles.fleet.preview import Safety  # noqa: PLC0415 (only who issues events needs the rules)

        return Safety(
            confirm_above_kw=self.confirm_above_kw,
            max_kw_per_ven=self.max_kw_per_ven,
            max_total_kw=self.max_total_kw,
            max_days_ahead=self.max_days_ahead,
        )
