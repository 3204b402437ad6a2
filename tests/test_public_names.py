"""The public names of every package: adding or losing one is a decision, not an accident."""

import __future__

import importlib
import pkgutil
from types import ModuleType

import pytest

ROOMS = ("openadr_profiles", "openadr_pages", "openadr_client", "vtn", "ven", "bridge_mqtt", "certs")


def _packages() -> list[str]:
    """Every package of the rooms that states its public names."""
    found = []
    for room in map(importlib.import_module, ROOMS):
        below = (info.name for info in pkgutil.walk_packages(room.__path__, f"{room.__name__}.") if info.ispkg)
        found += [name for name in (room.__name__, *below) if hasattr(importlib.import_module(name), "__all__")]
    return found


@pytest.mark.parametrize("name", _packages())
def test_a_package_exports_what_it_states(name: str) -> None:
    """`__all__` has every public name of the package, each once, and nothing that is not there."""
    package = importlib.import_module(name)
    stated: list[str] = package.__all__
    for each in stated:
        getattr(package, each)  # a package may import a name when it is first used

    there = {
        key
        for key, value in vars(package).items()
        if not key.startswith("_") and not isinstance(value, ModuleType | __future__._Feature)
    }
    assert sorted(stated) == sorted(there)
