"""Find a driver by its name, among those built in and those that installed packages add."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from openadr_client.clock import Clock
from ven.drivers.interface import Driver, Factory
from ven.errors import BadDriverOptions, UnknownDriver
from ven.panel.circuits import BranchCircuit

GROUP: Final = "openadr_fleet.drivers"
"""The entry point group under which a package registers a `Factory`."""

_BUILT_IN: Final = {
    kind: EntryPoint(kind, f"ven.drivers.{kind}:create", GROUP)
    for kind in ("ev", "modbus", "mqtt", "replay", "several", "simulated")
}


@dataclass(frozen=True)
class KnownDriver:
    """Name a driver: its kind, the package that brings it, what it says of itself, and why it cannot be used."""

    kind: str
    package: str
    about: str | None = None
    problem: str | None = None


def known_drivers() -> list[KnownDriver]:
    """Return all drivers by kind. Their modules are imported; one that cannot be is named with its problem."""
    return [_known(entry) for _, entry in sorted(_entries().items())]


def find_driver(kind: str) -> Factory:
    """Return the factory of a built-in or installed driver; the module of another is not imported.

    Only for one that is not built in are the installed packages looked through, which takes a start 0.03 s.

    The factory also raises BadDriverOptions for a circuit that is to be limited in what it feeds in, if the driver does
    not say that it can: such a limit would be accepted and do nothing.

    Raises:
        UnknownDriver: there is none of that name; the message lists those there are.
    """
    entry = _BUILT_IN.get(kind)
    if entry is None:
        found = _entries()
        if kind not in found:
            raise UnknownDriver(f"there is no driver {kind!r}; installed are: {', '.join(sorted(found))}")
        entry = found[kind]
    return partial(_make, kind, entry.load())


def _make(
    kind: str, factory: Factory, circuits: Sequence[BranchCircuit], options: Mapping[str, Any], clock: Clock
) -> Driver:
    driver = factory(circuits, options, clock)
    feeding = [each.id for each in circuits if each.limits_feed_in]
    if feeding and getattr(driver, "limits_feed_in", False) is not True:
        raise BadDriverOptions(
            f"the driver {kind!r} cannot limit what circuits feed in: leave limits_feed_in of {', '.join(feeding)} out"
        )
    return driver


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)} | _BUILT_IN


def _known(entry: EntryPoint) -> KnownDriver:
    package = "openadr-fleet" if entry in _BUILT_IN.values() else (entry.dist.name if entry.dist else entry.module)
    try:
        entry.load()
    except Exception as error:  # a package of somebody else may raise whatever it likes
        return KnownDriver(entry.name, package, problem=f"{type(error).__name__}: {error}")
    about = (sys.modules[entry.module].__doc__ or "").strip().partition("\n")[0]
    return KnownDriver(entry.name, package, about=about or None)
