"""Find a driver by its name, among those built in and those that installed packages add."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Final

from ven.drivers.interface import Factory
from ven.errors import UnknownDriver

GROUP: Final = "openadr_fleet.drivers"
"""The entry point group under which a package registers a `Factory`."""

_BUILT_IN: Final = (EntryPoint("simulated", "ven.drivers.simulated:create", GROUP),)


def find_driver(kind: str) -> Factory:
    """Return the factory of a built-in or installed driver; the module of another is not imported.

    Raises:
        UnknownDriver: there is none of that name; the message lists those there are.
    """
    found = {entry.name: entry for entry in (*entry_points(group=GROUP), *_BUILT_IN)}
    if kind not in found:
        raise UnknownDriver(f"there is no driver {kind!r}; installed are: {', '.join(sorted(found))}")
    factory: Factory = found[kind].load()
    return factory
