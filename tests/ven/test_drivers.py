import shutil
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from tests.ven.builders import START
from tests.ven.driver_contract import CIRCUITS, DriverContract
from ven.drivers import find_driver
from ven.drivers.simulated import SimulatedPanel, create
from ven.errors import BadDriverOptions, DriverFailed, UnknownDriver

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "driver"


class TestSimulated(DriverContract):
    kind = "simulated"

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"state_file": str(tmp_path / "panel.json")}


class TestOneOfAnotherPackage(DriverContract):
    """The example in the documentation, found by the entry point that its own pyproject.toml declares."""

    kind = "file-relays"

    @pytest.fixture
    def options(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
        install(EXAMPLE, tmp_path / "site", monkeypatch)
        board = tmp_path / "board"
        board.mkdir()
        for circuit in CIRCUITS:
            (board / f"{circuit.id}.kw").write_text("1.5\n")
        return {"folder": str(board)}


def install(project: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package of single modules on the path for one test, with what an installer writes about it."""
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    info = site / f"{declared['name'].replace('-', '_')}-{declared['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n")
    groups = declared["entry-points"].items()
    (info / "entry_points.txt").write_text(
        "\n".join(line for group, entries in groups for line in (f"[{group}]", *map(" = ".join, entries.items())))
    )
    for module in project.glob("*.py"):
        shutil.copy(module, site)
    monkeypatch.syspath_prepend(str(site))


async def readings(panel: SimulatedPanel, clock: ManualClock, hours: int) -> list[dict[str, Decimal]]:
    found = []
    for _ in range(hours * 12):
        found.append(dict(await panel.read()))
        await clock.advance(300)
    return found


async def test_same_seed_draws_the_same_curve_and_another_draws_another() -> None:
    runs = []
    for seed in (1, 1, 2):
        clock = ManualClock(START)
        async with create(CIRCUITS, {"seed": seed}, clock) as panel:
            runs.append(await readings(panel, clock, 24))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_curves_move_within_the_rating() -> None:
    clock = ManualClock(START)
    async with create(CIRCUITS, {"seed": 3, "ripple": 1}, clock) as panel:
        found = await readings(panel, clock, 24)
    for circuit in CIRCUITS:
        values = [kw[circuit.id] for kw in found]
        assert all(0 <= kw <= circuit.rated_kw for kw in values)
        assert len(set(values)) > 100


async def test_limit_is_obeyed_until_it_is_lifted() -> None:
    clock = ManualClock(START)
    async with create(CIRCUITS, {}, clock) as panel:
        wanted = await panel.read()
        await panel.set_limit("ev", Decimal("0.5"))
        assert await panel.read() == {**wanted, "ev": Decimal("0.5")}
        assert await panel.limits() == {"ev": Decimal("0.5")}
        await panel.set_limit("ev", None)
        assert await panel.read() == wanted


async def test_state_outlives_the_process(tmp_path: Path) -> None:
    options = {"state_file": str(tmp_path / "panel.json")}
    async with create(CIRCUITS, options, ManualClock(START)) as panel:
        await panel.set_limit("ev", Decimal("0.5"))
        await panel.set_limit("ev", Decimal("0.50"))
    async with create(CIRCUITS, options, ManualClock(START + timedelta(days=1))) as panel:
        assert await panel.limits() == {"ev": Decimal("0.5")}
        assert panel.switched == {"ev": 1}


async def test_state_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "panel.json").write_text("[]")
    with pytest.raises(DriverFailed, match=r"panel\.json does not hold the state"):
        async with create(CIRCUITS, {"state_file": str(tmp_path / "panel.json")}, ManualClock(START)):
            pass


async def test_unknown_circuit_is_refused() -> None:
    async with create(CIRCUITS, {}, ManualClock(START)) as panel:
        with pytest.raises(DriverFailed, match="no circuit oven"):
            await panel.set_limit("oven", Decimal(0))


def test_drivers_are_found_by_name() -> None:
    assert isinstance(find_driver("simulated")(CIRCUITS, {}, ManualClock(START)), SimulatedPanel)
    with pytest.raises(UnknownDriver, match=r"no driver 'zigbee'; installed are: .*simulated"):
        find_driver("zigbee")


def test_wrong_options_are_named() -> None:
    with pytest.raises(BadDriverOptions, match=r"ripple: .*less than or equal to 1; colour: there is no such option"):
        create(CIRCUITS, {"ripple": 2, "colour": "red"}, ManualClock(START))
