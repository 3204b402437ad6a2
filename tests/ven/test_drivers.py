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
from tests.ven.driver_contract import CIRCUITS, LATER, DriverContract
from ven.drivers import CircuitState, find_driver
from ven.drivers.ev_chargers import MqttChargerOptions
from ven.drivers.mqtt_devices import DeviceOptions
from ven.drivers.options import DriverOptions
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


async def powers(panel: SimulatedPanel) -> dict[str, Decimal]:
    return {id_: state.power_kw for id_, state in (await panel.read()).items() if state.power_kw is not None}


async def readings(panel: SimulatedPanel, clock: ManualClock, hours: int) -> list[dict[str, Decimal]]:
    found = []
    for _ in range(hours * 12):
        found.append(await powers(panel))
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
        wanted = await powers(panel)
        await panel.limit("ev", Decimal("0.5"), expires_at=LATER)
        assert await powers(panel) == {**wanted, "ev": Decimal("0.5")}
        await panel.release("ev", switch_on=True)
        assert await powers(panel) == wanted


async def test_state_outlives_the_process(tmp_path: Path) -> None:
    options = {"state_file": str(tmp_path / "panel.json")}
    async with create(CIRCUITS, options, ManualClock(START)) as panel:
        await panel.limit("ev", Decimal("0.5"), expires_at=LATER + timedelta(days=2))
        await panel.limit("ev", Decimal("0.50"), expires_at=LATER + timedelta(days=2))
    async with create(CIRCUITS, options, ManualClock(START + timedelta(days=1))) as panel:
        assert (await panel.read())["ev"].limit_kw == Decimal("0.5")
        assert panel.switched == {"ev": 1}


async def test_what_the_owner_switches_is_observed() -> None:
    async with create(CIRCUITS, {}, ManualClock(START)) as panel:
        panel.switch_by_hand("ev", is_on=False)
        assert (await panel.read())["ev"] == CircuitState(power_kw=Decimal(0), is_on=False)
        panel.switch_by_hand("ev", is_on=True)
        await panel.limit("ev", Decimal(0), expires_at=LATER)
        panel.switch_by_hand("ev", is_on=True)
        state = (await panel.read())["ev"]
        assert (state.limit_kw, state.is_on) == (None, True)


async def test_state_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "panel.json").write_text("[]")
    with pytest.raises(DriverFailed, match=r"panel\.json does not hold the state"):
        async with create(CIRCUITS, {"state_file": str(tmp_path / "panel.json")}, ManualClock(START)):
            pass


async def test_unknown_circuit_is_refused() -> None:
    async with create(CIRCUITS, {}, ManualClock(START)) as panel:
        with pytest.raises(DriverFailed, match="no circuit oven"):
            await panel.limit("oven", Decimal(0), expires_at=LATER)


def test_drivers_are_found_by_name() -> None:
    assert isinstance(find_driver("simulated")(CIRCUITS, {}, ManualClock(START)), SimulatedPanel)
    with pytest.raises(UnknownDriver, match=r"no driver 'zigbee'; installed are: .*simulated"):
        find_driver("zigbee")


def test_wrong_options_are_named() -> None:
    with pytest.raises(BadDriverOptions, match=r"ripple: .*less than or equal to 1; colour: there is no such option"):
        create(CIRCUITS, {"ripple": 2, "colour": "red"}, ManualClock(START))


@pytest.mark.parametrize(("kind", "members"), [(MqttChargerOptions, {}), (DeviceOptions, {"topic": "plug"})])
def test_device_without_its_own_part_is_refused_when_it_is_made(kind: type[DriverOptions], members: Any) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind.model_validate(members)
