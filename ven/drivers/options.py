"""Turn the settings of a driver into its options, and name the mistakes in them; the same for every driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from openadr_client.clock import Clock
from ven.drivers.interface import Driver
from ven.errors import BadDriverOptions
from ven.panel.circuits import BranchCircuit


class DriverOptions(BaseModel):
    """Be the base of a driver's options: one annotated member for each, with its default; others are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_Options = TypeVar("_Options", bound=DriverOptions)
_Made = TypeVar("_Made", bound=Driver)


def with_options(
    kind: str, options: type[_Options], make: Callable[[Sequence[BranchCircuit], _Options, Clock], _Made]
) -> Callable[[Sequence[BranchCircuit], Mapping[str, Any], Clock], _Made]:
    """Return the `Factory` of a driver that is made of its circuits, its checked options and a clock.

    The factory raises BadDriverOptions, which names the driver, each wrong option and what was expected.
    """

    def factory(circuits: Sequence[BranchCircuit], given: Mapping[str, Any], clock: Clock) -> _Made:
        try:
            checked = options.model_validate(dict(given))
        except ValidationError as error:
            mistakes = "; ".join(_mistakes(error, options.model_fields))
            raise BadDriverOptions(f"options of the driver {kind!r}: {mistakes}") from error
        return make(circuits, checked, clock)

    return factory


def _mistakes(error: ValidationError, known: Iterable[str]) -> Iterable[str]:
    options = ", ".join(known)
    for mistake in error.errors():
        name = ".".join(map(str, mistake["loc"]))
        if mistake["type"] == "extra_forbidden" and len(mistake["loc"]) > 1:
            yield f"{name}: there is no such option"  # within another, whose options are others
        elif mistake["type"] == "extra_forbidden":
            yield f"{name}: there is no such option; " + (f"expected {options}" if options else "this driver has none")
        else:
            yield f"{name}: {mistake['msg']}"
